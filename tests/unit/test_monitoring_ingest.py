from typing import Any

import pytest

from monitoring_service.ingest import WrongShape, parse_batch
from tests.bundles import make_trips
from tests.events import body_of, predictions_from, targets_from

TRIPS = make_trips(3)
PREDICTIONS = predictions_from(TRIPS)
TARGETS = targets_from(TRIPS, PREDICTIONS)


def event(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = body_of(PREDICTIONS)["predictions"][0]
    return {name: value for name, value in {**made, **changes}.items() if value != "absent"}


def reasons(body: Any) -> list[str]:
    return [rejection.reason for rejection in parse_batch(body, {"taxi"}).rejected]


def test_what_the_relay_sends_is_taken_as_it_was_made() -> None:
    batch = parse_batch(body_of(PREDICTIONS, TARGETS), {"taxi"})
    assert batch.predictions == PREDICTIONS
    assert batch.targets == TARGETS
    assert batch.rejected == []


def test_either_list_may_be_left_out() -> None:
    assert parse_batch({}, {"taxi"}).predictions == []
    assert len(parse_batch({"targets": body_of((), TARGETS)["targets"]}, {"taxi"}).targets) == 3


@pytest.mark.parametrize("body", [None, [], "text", 5, {"predictions": {}}, {"targets": 1}, {"prediction": []}])
def test_a_body_that_is_no_batch_is_wrong_as_a_whole(body: Any) -> None:
    with pytest.raises(WrongShape):
        parse_batch(body, {"taxi"})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prediction_id": "absent"}, "prediction_id is missing"),
        ({"prediction_id": ""}, "prediction_id is not a text of 1 to 200 characters"),
        ({"prediction_id": 5}, "prediction_id is not a text"),
        ({"prediction_id": "x" * 201}, "prediction_id is not a text"),
        ({"model": "unknown"}, "unknown model 'unknown'"),
        ({"model_version": None}, "model_version is not a text"),
        ({"created_at": "yesterday"}, "yesterday"),
        ({"created_at": "2026-01-01T12:00:00"}, "has no time zone"),
        ({"created_at": 1_700_000_000}, "created_at is not an ISO 8601 text"),
        ({"created_at": "absent"}, "created_at is missing"),
        ({"features": [1, 2]}, "features is not an object"),
        ({"prediction": None}, "prediction is neither a number nor a text"),
        ({"prediction": True}, "prediction is neither a number nor a text"),
        ({"probabilities": {"a": "high"}}, "probabilities is not an object of numbers"),
    ],
)
def test_a_malformed_prediction_is_rejected_with_its_reason_and_the_rest_is_taken(
    changes: dict[str, Any], reason: str
) -> None:
    batch = parse_batch({"predictions": [event(**changes), event(prediction_id="good")]}, {"taxi"})
    assert [prediction.prediction_id for prediction in batch.predictions] == ["good"]
    (rejection,) = batch.rejected
    assert reason in rejection.reason


@pytest.mark.parametrize("item", [None, 5, "text", []])
def test_an_event_that_is_no_object_is_rejected(item: Any) -> None:
    assert reasons({"predictions": [item]}) == ["an event is an object"]


def test_a_target_without_a_value_is_rejected() -> None:
    target = {**body_of((), TARGETS)["targets"][0], "target": None}
    assert reasons({"targets": [target]}) == ["target is neither a number nor a text"]
