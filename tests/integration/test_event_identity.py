"""Which event is which in MongoDB: ids are unique by model, and the target received last counts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations

import pytest

from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.event_store import EventStore
from tests.events import NOON, prediction


@pytest.fixture
def store(event_store: EventStore) -> EventStore:
    return event_store


def target(value: float, milliseconds: int, name: str = "p1", model: str = "taxi") -> Target:
    return Target(name, model, value, NOON + timedelta(milliseconds=milliseconds))


def values(store: EventStore, *names: str, model: str = "taxi") -> dict[str, float]:
    return {name: found.target for name, found in store.targets_for(model, names).items()}


@pytest.mark.parametrize("order", list(permutations((100, 700, 2_500))))
def test_the_target_received_last_counts_in_whatever_order_they_come(store, order):
    for moment in order:
        assert store.add_targets([target(moment, moment), target(1.0, 0, "p2")]) == []
    assert values(store, "p1", "p2", "unknown") == {"p1": 2_500, "p2": 1.0}
    assert store.add_targets([target(moment + 1, moment, "p3") for moment in order]) == []
    assert values(store, "p3") == {"p3": 2_501}


def test_of_targets_received_at_the_same_moment_the_first_counts_however_often_they_are_sent(store):
    for _ in range(2):
        assert store.add_targets([target(5.0, 0), target(7.0, 0)]) == []
        assert values(store, "p1") == {"p1": 5.0}


def test_of_several_who_write_targets_at_once_the_one_received_last_wins(store):
    with ThreadPoolExecutor(8) as writers:
        moments = list(range(0, 60_000, 1_500))
        for refused in writers.map(lambda moment: store.add_targets([target(moment, moment)]), moments):
            assert refused == []
    assert values(store, "p1") == {"p1": 58_500}


def test_a_stored_document_that_is_no_target_gives_way_to_one(store):
    store._db.targets.insert_one({"_id": "taxi/p1", "prediction_id": "p1", "model": "taxi", "target": 3.0})
    store._db.targets.insert_one({"_id": "taxi/p2", "prediction_id": "p2", "model": "taxi", "received_at": "soon"})
    store.add_targets([target(1.0, 0), target(2.0, 0, "p2")])
    assert values(store, "p1", "p2") == {"p1": 1.0, "p2": 2.0}


def test_a_retry_is_stored_once_and_an_id_used_again_for_something_else_is_refused_with_the_reason(store):
    assert store.add_predictions([prediction(1)]) == []
    later = prediction(1, created_at=NOON + timedelta(hours=1), latency_ms=9.0, model_version="v2", prediction=7.5)
    assert store.add_predictions([later]) == []
    other = prediction(1, features={"trip_distance": 99.0, "PULocationID": "74"})
    found = store.add_predictions(
        [prediction(2), other, prediction(1), prediction(1, context={"payment_type": 2})]
    )
    assert [(refusal.position, refusal.prediction_id) for refusal in found] == [(1, "p1"), (3, "p1")]
    assert "another prediction stored under this id" in found[0].reason
    assert store.latest("taxi", 5, until=NOON + timedelta(days=1)) == [prediction(1), prediction(2)]


def test_two_predictions_for_one_id_in_a_batch_are_told_apart(store):
    found = store.add_predictions([prediction(1), prediction(1, context={}), prediction(1)])
    assert [refusal.position for refusal in found] == [1]
    assert store.latest("taxi", 5, until=NOON + timedelta(days=1)) == [prediction(1)]


def test_ids_are_unique_by_model(store):
    assert store.add_predictions([prediction(1), prediction(1, model="iris", features={"petal": 2.0})]) == []
    assert store.add_targets([target(1.0, 0), target(2.0, 5_000, model="iris")]) == []
    assert (values(store, "p1"), values(store, "p1", model="iris")) == ({"p1": 1.0}, {"p1": 2.0})
    assert store.latest("iris", 5, until=NOON + timedelta(days=1))[0].features == {"petal": 2.0}
    assert store.existing_ids(["p1", "p2"], ["iris", "taxi", "other"]) == {"p1": {"iris", "taxi"}}
    assert store.delete("iris", ["p1"]) == (1, 1)
    assert (values(store, "p1"), values(store, "p1", model="iris")) == ({"p1": 1.0}, {})
    assert [document["_id"] for document in store._db.predictions.find()] == ["taxi/p1"]


def as_once(event: Prediction | Target) -> dict[str, object]:
    """The document that older versions stored: its `_id` is the bare id."""
    document = event.to_dict()
    return {"_id": document.pop("prediction_id"), **document}


def test_what_older_versions_stored_is_read_joined_and_not_stored_again(store):
    store._db.predictions.insert_many([as_once(prediction(1)), as_once(prediction(2, model="iris"))])
    store._db.targets.insert_many([as_once(target(1.0, 0)), as_once(target(2.0, 0, "p2", "iris"))])
    assert store.latest("taxi", 5, until=NOON + timedelta(days=1)) == [prediction(1)]
    assert (values(store, "p1", "p2"), values(store, "p2", model="iris")) == ({"p1": 1.0}, {"p2": 2.0})
    assert store.existing_ids(["p1", "p2"], ["iris", "taxi"]) == {"p1": {"taxi"}, "p2": {"iris"}}
    found = store.add_predictions([prediction(1), prediction(1, context={}), prediction(2)])
    assert [refusal.position for refusal in found] == [1]
    assert store.latest("taxi", 5, until=NOON + timedelta(days=1)) == [prediction(1), prediction(2)]
    assert sorted(store.prediction_ids()) == ["p1", "p2", "p2"]


def test_of_an_old_target_and_one_of_today_the_one_received_last_counts(store):
    store._db.targets.insert_many([as_once(target(1.0, 500)), as_once(target(2.0, 500, "p2"))])
    store.add_targets([target(3.0, 100), target(4.0, 900, "p2")])
    assert values(store, "p1", "p2") == {"p1": 1.0, "p2": 4.0}


def test_deleting_takes_old_documents_too_and_leaves_an_id_that_only_looks_alike(store):
    store._db.predictions.insert_one(as_once(prediction(1)))
    store._db.targets.insert_one(as_once(target(1.0, 500)))
    store.add_targets([target(3.0, 900)])
    store.add_predictions([prediction(2), prediction(3, prediction_id="taxi/p2")])
    assert values(store, "taxi/p2") == {}
    assert store.delete("taxi", ["p1", "taxi/p2"]) == (2, 2)
    assert list(store.prediction_ids()) == ["p2"]
