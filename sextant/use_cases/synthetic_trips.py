"""Synthetic green-taxi trips: the columns, types and faults of real months, generated for one fixed town."""

import zlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.use_cases.synthetic_town import MINUTES_A_MILE, NIGHT, REACH, TOWN_SEED, Days, Floats, Integers, Town

ROWS = 40_000
"""Enough that two thirds of the days fill the reference; generated in a second."""

DISPATCHED_BY_DAYLIGHT, DISPATCHED_AT_NIGHT = 0.38, 0.2
"""Trips without a taximeter record: passenger count, payment and so on are missing, as in real months."""

MILES_AN_HOUR = 50.0
"""With one minute to the mile and no stops."""


def synthetic_month(month: str, rows: int = ROWS) -> pd.DataFrame:
    """One month of trips: always the same for a month, and from one distribution for all months.

    Hours and weekends differ, and so do the days of a month, by about as much as in real months.
    """
    rng = np.random.default_rng([TOWN_SEED, zlib.crc32(month.encode())])
    town, days = Town.build(), Days.of(month, rng)
    day, hour = days.moments(rng, rows)
    start, end = _journeys(rng, town, days, day, hour)
    detour = days.distance[day] * rng.lognormal(0.25, 0.2, rows)
    miles = np.round(town.miles[start, end] * detour + 0.3, 2)
    pickup, dropoff = town.ids[start], town.ids[end]
    pace = MINUTES_A_MILE[days.weekend[day], hour] * days.pace[day]
    minutes = _minutes(rng, miles, pace, pickup)
    began = _pickup_times(rng, days, day, hour)
    ended = began + pd.to_timedelta(np.round(minutes * 60), unit="s")
    trips = {
        "VendorID": rng.choice([1, 2], size=rows, p=[0.15, 0.85]).astype("int64"),
        "lpep_pickup_datetime": began,
        "lpep_dropoff_datetime": ended,
        "PULocationID": pickup,
        "DOLocationID": dropoff,
        "trip_distance": _with_faulty_meters(rng, miles),
    }
    by_daylight = DISPATCHED_BY_DAYLIGHT + (DISPATCHED_AT_NIGHT - DISPATCHED_BY_DAYLIGHT) * NIGHT[hour]
    record = _meter_record(rng, by_daylight * days.dispatched[day])
    month_of_trips = pd.DataFrame({**trips, **_money(rng, miles, minutes), **record})
    return month_of_trips[list(_COLUMNS)].astype(_COLUMNS)


def _journeys(
    rng: np.random.Generator, town: Town, days: Days, day: Integers, hour: Integers
) -> tuple[Integers, Integers]:
    """Positions of the zones where trips start and end: near zones are likelier destinations than far ones."""
    start, end = np.empty_like(day), np.empty_like(day)
    weekend = days.weekend[day]
    for kind, at in np.unique(np.stack([weekend, hour], axis=1), axis=0):
        here = np.flatnonzero((weekend == kind) & (hour == at))
        shares = town.shares(at, kind, days.zones)[day[here]]
        start[here] = _drawn(rng, shares)
        end[here] = _drawn(rng, shares * np.exp(-town.miles / REACH[kind, at])[start[here]])
    return start, end


def _drawn(rng: np.random.Generator, weights: Floats) -> Integers:
    """For each row a column, by the row's weights."""
    sums = np.cumsum(weights, axis=1)
    drawn: Integers = (sums < (rng.random(len(sums)) * sums[:, -1])[:, None]).sum(axis=1)
    return drawn


def _minutes(rng: np.random.Generator, miles: Floats, pace: Floats, zone: Integers) -> Floats:
    """Durations: slower in busy hours and in some zones; a few trips are cancelled or never ended."""
    speed = MILES_AN_HOUR / pace * (0.8 + 0.4 * (zone * 37 % 101) / 100)
    minutes = (2.5 + 60 * miles / (speed + 0.8 * miles)) * rng.lognormal(0, 0.25, len(miles))
    fault = rng.random(len(miles))
    minutes = np.where(fault < 0.006, rng.uniform(0, 0.9, len(miles)), minutes)
    return np.where(fault > 0.997, rng.uniform(1_380, 1_440, len(miles)), minutes)


def _with_faulty_meters(rng: np.random.Generator, miles: Floats) -> Floats:
    """Of a thousand meters, twenty show no distance, two show nothing and one shows an absurd distance."""
    fault = rng.random(len(miles))
    miles = np.where(fault < 0.02, 0.0, miles)
    miles = np.where((fault > 0.5) & (fault < 0.502), np.nan, miles)
    return np.where(fault > 0.999, np.round(rng.uniform(2_000, 240_000, len(miles)), 2), miles)


def _pickup_times(rng: np.random.Generator, days: Days, day: Integers, hour: Integers) -> pd.DatetimeIndex:
    seconds = day * 86_400 + hour * 3_600 + rng.integers(0, 3_600, len(hour))
    return pd.DatetimeIndex(days.first + pd.to_timedelta(seconds, unit="s")).as_unit("us")


def _money(rng: np.random.Generator, miles: Floats, minutes: Floats) -> dict[str, Floats]:
    fare = np.round((2.5 + 2.5 * miles + 0.25 * np.minimum(minutes, 120)) * 2) / 2
    tip = np.where(rng.random(len(miles)) < 0.35, np.round(fare * rng.uniform(0.1, 0.25, len(miles)), 2), 0.0)
    tolls = np.where(rng.random(len(miles)) < 0.03, 6.12, 0.0)
    surcharges = {name: np.full(len(miles), 0.5) for name in ("extra", "mta_tax")}
    return {
        "fare_amount": fare,
        **surcharges,
        "tip_amount": tip,
        "tolls_amount": tolls,
        "improvement_surcharge": np.full(len(miles), 0.3),
        "total_amount": np.round(fare + 1.0 + tip + tolls + 0.3, 2),
    }


def _meter_record(rng: np.random.Generator, dispatched_share: Floats) -> dict[str, npt.NDArray[np.object_]]:
    """What only a taximeter records; all of it is missing for dispatched trips."""
    rows = len(dispatched_share)
    record = {
        "store_and_fwd_flag": rng.choice(["N", "Y"], size=rows, p=[0.997, 0.003]),
        "RatecodeID": rng.choice([1.0, 2.0, 5.0], size=rows, p=[0.96, 0.01, 0.03]),
        "passenger_count": rng.choice([1.0, 2.0, 3.0, 5.0], size=rows, p=[0.85, 0.1, 0.03, 0.02]),
        "payment_type": rng.choice([1.0, 2.0, 3.0, 4.0], size=rows, p=[0.6, 0.39, 0.007, 0.003]),
        "trip_type": rng.choice([1.0, 2.0], size=rows, p=[0.98, 0.02]),
        "congestion_surcharge": rng.choice([0.0, 2.75], size=rows, p=[0.75, 0.25]),
    }
    dispatched = rng.random(rows) < dispatched_share
    columns = {name: values.astype(object) for name, values in record.items()}
    for values in columns.values():
        values[dispatched] = None
    return {**columns, "ehail_fee": np.full(rows, None)}


_COLUMNS = {
    "VendorID": "int64",
    "lpep_pickup_datetime": "datetime64[us]",
    "lpep_dropoff_datetime": "datetime64[us]",
    "store_and_fwd_flag": "object",
    "RatecodeID": "float64",
    "PULocationID": "int64",
    "DOLocationID": "int64",
    "passenger_count": "float64",
    "trip_distance": "float64",
    "fare_amount": "float64",
    "extra": "float64",
    "mta_tax": "float64",
    "tip_amount": "float64",
    "tolls_amount": "float64",
    "ehail_fee": "object",
    "improvement_surcharge": "float64",
    "total_amount": "float64",
    "payment_type": "float64",
    "trip_type": "float64",
    "congestion_surcharge": "float64",
}
"""Names, order and types of the TLC's month 2021-01."""
