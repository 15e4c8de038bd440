"""How raw trips become examples, whatever types a month has, and what made-up months look like."""

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


def test_made_up_months_hold_the_faults_that_make_cleaning_matter() -> None:
    raw = to_examples(synthetic_month("2021-01"))
    assert raw.features["trip_distance"].max() > 1_000
    assert raw.features["trip_distance"].isna().any()
    assert raw.target.isna().any()
    assert (raw.context["payment_type"] == "missing").mean() > 0.2
    cleaned = clean(raw, USE_CASE.limits)
    assert 0.95 < len(cleaned) / len(raw) < 1
    assert cleaned.features["trip_distance"].between(0, 100).all()
