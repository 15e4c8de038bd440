"""Synthetic green-taxi trips: the columns, types and faults of real months, generated for one fixed town."""

import zlib

import numpy as np
import numpy.typing as npt
import pandas as pd

ROWS = 40_000
"""Enough that a quarter of the cleaned rows fills the reference; generated in a second."""

TOWN_SEED = 20240229
ZONE_COUNT = 240
DISPATCHED_SHARE = 0.35
"""Trips without a taximeter record: passenger count, payment and so on are missing, as in real months."""

HOURS = np.array([6, 4, 3, 3, 4, 9, 18, 36, 53, 63, 65, 61, 60, 63, 60, 58, 56, 46, 40, 33, 23, 15, 12, 9])
Floats = npt.NDArray[np.float64]


def synthetic_month(month: str, rows: int = ROWS) -> pd.DataFrame:
    """One month of trips: always the same for a month, and from one distribution for all months."""
    rng = np.random.default_rng([TOWN_SEED, zlib.crc32(month.encode())])
    pickup, dropoff, straight_miles = _journeys(rng, rows)
    miles = np.round(straight_miles * rng.lognormal(0.25, 0.2, rows) + 0.3, 2)
    hour = rng.choice(24, size=rows, p=HOURS / HOURS.sum())
    minutes = _minutes(rng, miles, hour, pickup)
    start = _pickup_times(rng, month, hour)
    end = start + pd.to_timedelta(np.round(minutes * 60), unit="s")
    trips = {
        "VendorID": rng.choice([1, 2], size=rows, p=[0.15, 0.85]).astype("int64"),
        "lpep_pickup_datetime": start,
        "lpep_dropoff_datetime": end,
        "PULocationID": pickup,
        "DOLocationID": dropoff,
        "trip_distance": _with_faulty_meters(rng, miles),
    }
    month_of_trips = pd.DataFrame({**trips, **_money(rng, miles, minutes), **_meter_record(rng, rows)})
    return month_of_trips[list(_COLUMNS)].astype(_COLUMNS)


def _town() -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Zone ids, their positions in miles, and how popular they are: a few zones start most trips."""
    rng = np.random.default_rng(TOWN_SEED)
    ids = np.sort(rng.choice(np.arange(1, 266), size=ZONE_COUNT, replace=False))
    popularity = 1 / np.arange(1, ZONE_COUNT + 1) ** 0.9
    return ids, rng.normal(0, 4, (ZONE_COUNT, 2)), rng.permutation(popularity / popularity.sum())


def _journeys(rng: np.random.Generator, rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Where trips start and end, and how far that is: near zones are likelier destinations than far ones."""
    ids, places, popularity = _town()
    start = rng.choice(ZONE_COUNT, size=rows, p=popularity)
    miles = np.linalg.norm(places[:, None] - places[None], axis=2)
    pull = np.cumsum(popularity * np.exp(-miles / 2.5), axis=1)
    draw = rng.random(rows) * pull[start, -1]
    end = (pull[start] < draw[:, None]).sum(axis=1)
    return ids[start], ids[end], miles[start, end]


def _minutes(
    rng: np.random.Generator, miles: Floats, hour: npt.NDArray[np.int64], zone: npt.NDArray[np.int64]
) -> Floats:
    """Durations: slower in busy hours and in some zones; a few trips are cancelled or never ended."""
    speed = 15.0 * (1 - 0.35 * HOURS[hour] / HOURS.max()) * (0.8 + 0.4 * (zone * 37 % 101) / 100)
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


def _pickup_times(rng: np.random.Generator, month: str, hour: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    days = pd.Period(month, freq="M").days_in_month
    seconds = rng.integers(0, days, len(hour)) * 86_400 + hour * 3_600 + rng.integers(0, 3_600, len(hour))
    return pd.DatetimeIndex(pd.Timestamp(f"{month}-01") + pd.to_timedelta(seconds, unit="s")).as_unit("us")


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


def _meter_record(rng: np.random.Generator, rows: int) -> dict[str, npt.NDArray[np.object_]]:
    """What only a taximeter records; all of it is missing for dispatched trips."""
    record = {
        "store_and_fwd_flag": rng.choice(["N", "Y"], size=rows, p=[0.997, 0.003]),
        "RatecodeID": rng.choice([1.0, 2.0, 5.0], size=rows, p=[0.96, 0.01, 0.03]),
        "passenger_count": rng.choice([1.0, 2.0, 3.0, 5.0], size=rows, p=[0.85, 0.1, 0.03, 0.02]),
        "payment_type": rng.choice([1.0, 2.0, 3.0, 4.0], size=rows, p=[0.6, 0.39, 0.007, 0.003]),
        "trip_type": rng.choice([1.0, 2.0], size=rows, p=[0.98, 0.02]),
        "congestion_surcharge": rng.choice([0.0, 2.75], size=rows, p=[0.75, 0.25]),
    }
    dispatched = rng.random(rows) < DISPATCHED_SHARE
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
