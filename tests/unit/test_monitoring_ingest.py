from typing import Any

import pytest

from monitoring_service.ingest import WrongShape, parse_batch
from tests.bundles import make_trips
from tests.events import body_of, predictions_from, targets_from

TRIPS = make_trips(3)
LIMIT = 65_536
PREDICTIONS = predictions_from(TRIPS)
TARGETS = targets_from(TRIPS, PREDICTIONS)


NESTED: Any = 1
for _ in range(50):
    NESTED = {"x": [NESTED]}


def event(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = body_of(PREDICTIONS)["predictions"][0]
    return {name: value for name, value in {**made, **changes}.items() if value != "absent"}


def reasons(body: Any) -> list[str]:
    return [rejection.reason for rejection in parse_batch(body, {"taxi"}, LIMIT).rejected]


def test_what_the_relay_sends_is_taken_as_it_was_made() -> None:
    batch = parse_batch(body_of(PREDICTIONS, TARGETS), {"taxi"}, LIMIT)
    assert batch.predictions == PREDICTIONS
    assert batch.targets == TARGETS
    assert batch.rejected == []


def test_either_list_may_be_left_out() -> None:
    assert parse_batch({}, {"taxi"}, LIMIT).predictions == []
    assert len(parse_batch({"targets": body_of((), TARGETS)["targets"]}, {"taxi"}, LIMIT).targets) == 3


@pytest.mark.parametrize("body", [None, [], "text", 5, {"predictions": {}}, {"targets": 1}, {"prediction": []}])
def test_a_body_that_is_no_batch_is_wrong_as_a_whole(body: Any) -> None:
    with pytest.raises(WrongShape):
        parse_batch(body, {"taxi"}, LIMIT)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prediction_id": "absent"}, "prediction_id missing"),
        ({"prediction_id": ""}, "prediction_id is not a text of 1 to 200 characters"),
        ({"prediction_id": 5}, "prediction_id is not a text"),
        ({"prediction_id": "x" * 201}, "prediction_id is not a text"),
        ({"model": "unknown"}, "unknown model 'unknown'"),
        ({"model_version": None}, "model_version is not a text"),
        ({"created_at": "yesterday"}, "yesterday"),
        ({"created_at": "2026-01-01T12:00:00"}, "has no time zone"),
        ({"created_at": 1_700_000_000}, "created_at is not an ISO 8601 text"),
        ({"created_at": "absent"}, "created_at missing"),
        ({"features": [1, 2]}, "features is not an object"),
        ({"prediction": None}, "prediction is neither a number nor a text"),
        ({"prediction": True}, "prediction is neither a number nor a text"),
        ({"prediction": 10**30}, "exceeds 64-bit"),
        ({"prediction": 1e300}, "prediction is neither"),
        ({"prediction": [1.0]}, "prediction is neither"),
        ({"probabilities": {"a": "high"}}, "probabilities is not an object of numbers"),
        ({"probabilities": {"a": True}}, "probabilities is not"),
        ({"probabilities": {"a": 7.0}}, "from 0 to 1"),
        ({"probabilities": [0.5]}, "probabilities is not"),
        ({"context": 5}, "context is not an object"),
        ({"context": None}, "context is not an object"),
        ({"context": {"a": 2**64}}, "exceeds 64-bit"),
        ({"context": {"a": 2**63}}, "too large"),
        ({"context": {"a": NESTED}}, "too deep"),
        ({"context": {"a": "x" * 70_000}}, "more than the limit of 65,536"),
        ({"features": None}, "features is not an object"),
        ({"features": {"trip_distance": [1.0]}}, "feature 'trip_distance' is neither"),
        ({"features": {"trip_distance": {"a": 1}}}, "feature 'trip_distance' is neither"),
        ({"features": {"trip_distance": True}}, "feature 'trip_distance' is neither"),
        ({"features": {"trip_distance": 1e300}}, "feature 'trip_distance' is neither"),
        ({"features": {"trip_distance": 2**63}}, "feature 'trip_distance' is neither"),
        ({"features": {"PULocationID": "x" * 2_000}}, "feature 'PULocationID' is neither"),
        ({"latency_ms": "slow"}, "latency_ms is not a number"),
        ({"latency_ms": -1}, "latency_ms is not a number"),
        ({"created_at": "0001-01-01T00:00:00+00:00"}, "before 1970"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "out of range"),
        ({"created_at": None}, "created_at is not an ISO 8601 text"),
    ],
)
def test_a_malformed_prediction_is_rejected_with_its_reason_and_the_rest_is_taken(
    changes: dict[str, Any], reason: str
) -> None:
    batch = parse_batch({"predictions": [event(**changes), event(prediction_id="good")]}, {"taxi"}, LIMIT)
    assert [prediction.prediction_id for prediction in batch.predictions] == ["good"]
    (rejection,) = batch.rejected
    assert reason in rejection.reason


@pytest.mark.parametrize("item", [None, 5, "text", []])
def test_an_event_that_is_no_object_is_rejected(item: Any) -> None:
    assert reasons({"predictions": [item]}) == ["an event is an object"]


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}, 1e300, 2**63])
def test_a_target_without_a_usable_value_is_rejected(value: Any) -> None:
    target = {**body_of((), TARGETS)["targets"][0], "target": value}
    assert reasons({"targets": [target]}) == ["target is neither a number nor a text"]


@pytest.mark.parametrize("received_at", [None, 5, "soon", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00"])
def test_a_target_without_a_usable_time_is_rejected(received_at: Any) -> None:
    target = {**body_of((), TARGETS)["targets"][0], "received_at": received_at}
    assert len(reasons({"targets": [target]})) == 1
