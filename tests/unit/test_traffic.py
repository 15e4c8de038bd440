"""Which rows a replay sends, and what drift does to them."""

import json
from itertools import count

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Feature, FeatureSchema
from sextant.traffic.rows import (
    HOLDOUT,
    TRAFFIC,
    InjectedDrift,
    NoTraffic,
    Traffic,
    WrongDrift,
    inject,
    parse_drift,
    predict_requests,
    replayed,
    to_traffic,
)
from sextant.training.split import clean, split
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.taxi import USE_CASE
from sextant.use_cases.use_case import Examples, Source

SCHEMA = FeatureSchema(
    features=(Feature(name="zone", kind="categorical"), Feature(name="miles", kind="numerical"))
)


def source(rows: int = 1_000) -> Source:
    return Source("synthetic", "2021-01", "2022-01", lambda month: synthetic_month(month, rows=rows))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def keys(examples: Examples) -> set[tuple[object, ...]]:
    rows = examples.features.assign(start=examples.context["lpep_pickup_datetime"], target=examples.target)
    return set(rows.itertuples(index=False, name=None))


def test_hold_out_rows_were_neither_trained_on_nor_in_the_reference() -> None:
    for split_by in (None, USE_CASE.time):
        parts = split(clean(USE_CASE.to_examples(source().reference()), USE_CASE.limits), split_by)
        sent = keys(replayed(USE_CASE, source(), HOLDOUT, split_by))
        assert len(sent) > 200
        assert not sent & (keys(parts.training) | keys(parts.reference))


def test_traffic_is_the_later_period_as_it_came_with_rows_that_a_service_takes() -> None:
    sent = replayed(USE_CASE, source(20_000), TRAFFIC, None)
    assert sent.features.notna().all(axis=None)
    assert sent.features["trip_distance"].max() > 100
    assert sent.target.isna().any()


def test_a_period_without_complete_rows_is_one_clear_error() -> None:
    empty = Source(
        "files", "2021-01", "2022-01", lambda month: synthetic_month(month, rows=5).assign(PULocationID=None)
    )
    with pytest.raises(NoTraffic, match="nothing to send"):
        replayed(USE_CASE, empty, TRAFFIC, None)


def test_records_hold_features_and_context_and_are_valid_json() -> None:
    traffic = to_traffic(replayed(USE_CASE, source(), TRAFFIC, None), [], rng())
    assert set(traffic.records[0]) == {
        "PULocationID", "DOLocationID", "trip_distance", "payment_type", "passenger_count", "lpep_pickup_datetime"
    }  # fmt: skip
    json.dumps([*traffic.records, *traffic.targets], allow_nan=False)
    assert any(record["passenger_count"] is None for record in traffic.records)


def test_a_request_carries_ids_and_only_the_targets_that_are_known() -> None:
    ids = (f"id-{number}" for number in count())
    traffic = Traffic([{"miles": 1.0}, {"miles": 2.0}, {"miles": 3.0}], [10.0, None, 30.0])
    moments = np.array([0.0, 1.0, 5.0])
    first, second = predict_requests(traffic, np.array([0, 1, 2]), moments, 2, lambda: next(ids))
    assert first.records == [{"miles": 1.0, "prediction_id": "id-0"}, {"miles": 2.0, "prediction_id": "id-1"}]
    assert first.targets == {"id-0": 10.0}
    assert second.targets == {"id-2": 30.0}
    assert (first.due, second.due) == (0.0, 5.0)
    assert "prediction_id" not in traffic.records[0]


def test_a_number_drifts_by_its_factor_and_the_target_stays() -> None:
    examples = replayed(USE_CASE, source(), TRAFFIC, None)
    plain, drifted = (
        to_traffic(examples, drifts, rng()) for drifts in ([], [InjectedDrift("trip_distance", factor=1.5)])
    )
    distances = [[record["trip_distance"] for record in traffic.records] for traffic in (plain, drifted)]
    np.testing.assert_allclose(np.array(distances[1]), np.array(distances[0]) * 1.5)
    assert drifted.targets == plain.targets


def test_a_share_of_the_rows_moves_to_a_category() -> None:
    features = pd.DataFrame({"zone": ["a"] * 1_000, "miles": 1.0})
    drifted = inject([InjectedDrift("zone", category="b", share=0.3)], features, rng())
    assert 250 < (drifted["zone"] == "b").sum() < 350
    assert (features["zone"] == "a").all()


def test_drifts_are_read_as_a_user_writes_them() -> None:
    assert parse_drift("miles=1.5", SCHEMA) == InjectedDrift("miles", factor=1.5)
    assert parse_drift("zone=74=0.5", SCHEMA) == InjectedDrift("zone", category="74", share=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed=2", "known are: zone, miles"),
        ("miles", "miles=FACTOR"),
        ("miles=fast", "miles=FACTOR"),
        ("miles=1=2", "miles=FACTOR"),
        ("miles=inf", "must be finite"),
        ("zone=74", "zone=CATEGORY=SHARE"),
        ("zone=74=1.5", "from 0 to 1"),
    ],
)
def test_a_wrong_drift_is_answered_with_how_to_write_it(text: str, message: str) -> None:
    with pytest.raises(WrongDrift, match=message):
        parse_drift(text, SCHEMA)
