"""How raw trips become examples, whatever types a month has, and what made-up months look like."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sextant.training.split import clean
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.taxi import USE_CASE, to_examples


def trips(**columns: Any) -> pd.DataFrame:
    trip = {
        "lpep_pickup_datetime": [pd.Timestamp("2021-01-05 10:00:00")],
        "lpep_dropoff_datetime": [pd.Timestamp("2021-01-05 10:30:00")],
        "PULocationID": [74],
        "DOLocationID": [75],
        "trip_distance": [2.5],
        "payment_type": [1.0],
        "passenger_count": [2.0],
    }
    return pd.DataFrame({**trip, **columns})


@pytest.mark.parametrize("zone", [[74], [74.0], ["74"], np.array([74], dtype="int32")])
def test_a_zone_is_the_same_text_whatever_type_the_month_has(zone: Any) -> None:
    assert to_examples(trips(PULocationID=zone)).features["PULocationID"].tolist() == ["74"]


def test_a_missing_zone_stays_missing() -> None:
    assert to_examples(trips(PULocationID=[np.nan])).features["PULocationID"].tolist() == [None]


@pytest.mark.parametrize(("minutes", "usable"), [(0.9, False), (1, True), (60, True), (60.1, False), (-5, False)])
def test_durations_are_targets_from_one_minute_to_sixty(minutes: float, usable: bool) -> None:
    end = pd.Timestamp("2021-01-05 10:00:00") + pd.Timedelta(minutes=minutes)
    assert to_examples(trips(lpep_dropoff_datetime=[end])).target.notna().tolist() == [usable]


def test_the_target_is_the_duration_in_minutes() -> None:
    assert to_examples(trips()).target.tolist() == [30.0]


def test_unreadable_values_become_missing_ones() -> None:
    found = to_examples(trips(trip_distance=["far"], lpep_dropoff_datetime=["late"]))
    assert found.features["trip_distance"].isna().all()
    assert found.target.isna().all()
    assert to_examples(trips(trip_distance=[np.inf])).features["trip_distance"].isna().all()


def test_the_context_holds_payment_as_a_code_or_as_missing() -> None:
    assert to_examples(trips()).context["payment_type"].tolist() == ["1"]
    assert to_examples(trips(payment_type=[None])).context["payment_type"].tolist() == ["missing"]


def test_made_up_months_are_the_same_every_time_and_differ_by_month() -> None:
    first = synthetic_month("2021-01", rows=500)
    pd.testing.assert_frame_equal(first, synthetic_month("2021-01", rows=500))
    assert not first["trip_distance"].equals(synthetic_month("2022-01", rows=500)["trip_distance"])


def test_made_up_months_come_from_one_distribution() -> None:
    from scipy.stats import ks_2samp

    earlier, later = (
        clean(to_examples(synthetic_month(month, rows=5_000)), USE_CASE.limits) for month in ("2021-01", "2022-01")
    )
    assert ks_2samp(earlier.features["trip_distance"], later.features["trip_distance"]).pvalue > 0.001
    assert ks_2samp(earlier.target, later.target).pvalue > 0.001
    zones = [part.features["PULocationID"].value_counts(normalize=True) for part in (earlier, later)]
    assert zones[0].sub(zones[1], fill_value=0).abs().sum() / 2 < 0.15


@cache
def made_up_trips() -> pd.DataFrame:
    cleaned = clean(to_examples(synthetic_month("2021-01")), USE_CASE.limits)
    began = pd.to_datetime(cleaned.context["lpep_pickup_datetime"])
    known = {
        "minutes": cleaned.target,
        "day": began.dt.day,
        "hour": began.dt.hour,
        "weekend": began.dt.dayofweek >= 5,
    }
    return cleaned.features.assign(**known)


def far_apart(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Half the sum of the differences of the zones' shares."""
    zones = [part["PULocationID"].value_counts(normalize=True) for part in (one, other)]
    return float(zones[0].sub(zones[1], fill_value=0).abs().sum() / 2)


def test_made_up_nights_and_weekends_are_not_like_working_days() -> None:
    trips = made_up_trips()
    night, rush = trips["hour"].isin([0, 1, 2, 3]), trips["hour"].isin([8, 15, 16, 17]) & ~trips["weekend"]
    a_day = trips.groupby("weekend")["day"].agg(lambda days: len(days) / days.nunique())
    assert a_day[True] < 0.8 * a_day[False]
    assert trips["weekend"][night].mean() > 1.5 * trips["weekend"].mean()
    pace = trips["minutes"] / trips["trip_distance"].clip(lower=1)
    assert pace[rush].median() > 1.15 * pace[night].median()
    assert trips["trip_distance"][trips["hour"].between(3, 6)].mean() > 1.1 * trips["trip_distance"][rush].mean()
    halves = trips.iloc[::2], trips.iloc[1::2]
    assert far_apart(trips[night], trips[~night]) > 4 * far_apart(*halves)
    assert far_apart(trips[trips["weekend"]], trips[~trips["weekend"]]) > 2 * far_apart(*halves)


@pytest.mark.parametrize("column", ["trip_distance", "minutes"])
def test_made_up_days_vary_about_as_real_ones_do(column: str) -> None:
    """In real months, the means of days vary 2.5 to 3.8 times as much as by chance, at as many rows a day."""
    trips = made_up_trips()
    values = trips[column] - trips.groupby(["weekend", "hour"])[column].transform("mean")
    days = values.groupby(trips["day"]).agg(["mean", "var", "size"])
    assert 2 < (days["mean"] ** 2).mean() / (days["var"] / days["size"]).mean() < 5


def test_made_up_months_hold_the_faults_that_make_cleaning_matter() -> None:
    raw = to_examples(synthetic_month("2021-01"))
    assert raw.features["trip_distance"].max() > 1_000
    assert raw.features["trip_distance"].isna().any()
    assert raw.target.isna().any()
    assert (raw.context["payment_type"] == "missing").mean() > 0.2
    cleaned = clean(raw, USE_CASE.limits)
    assert 0.95 < len(cleaned) / len(raw) < 1
    assert cleaned.features["trip_distance"].between(0, 100).all()
