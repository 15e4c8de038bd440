"""The event store against a server that speaks MongoDB's wire protocol (nx-27017)."""

from datetime import timedelta

import pytest

from sextant.contracts.errors import Rejected, StoreUnavailable
from sextant.contracts.events import Target
from sextant.infrastructure.documents import HourlyTraffic, Refusal
from sextant.infrastructure.event_store import EventStore
from tests.events import NOON, prediction
from tests.processes import free_port


@pytest.fixture
def store(event_store: EventStore) -> EventStore:
    return event_store


def test_a_prediction_comes_back_as_it_was_stored(store):
    store.add_predictions([prediction(1, probabilities={"a": 0.25, "b": 0.75})])
    assert store.latest("taxi", 5, until=NOON + timedelta(days=1)) == [
        prediction(1, probabilities={"a": 0.25, "b": 0.75})
    ]


def test_what_is_sent_twice_is_stored_once(store):
    for batch in ([1, 2], [2, 3], [1, 2, 3]):
        assert store.add_predictions([prediction(number) for number in batch]) == []
    assert sorted(store.prediction_ids()) == ["p1", "p2", "p3"]


def test_a_window_is_cut_to_the_millisecond_even_where_the_server_compares_seconds(store):
    store.add_predictions([prediction(number) for number in range(40)])
    start, end = NOON + timedelta(milliseconds=1_250), NOON + timedelta(milliseconds=2_700)
    found = [p.prediction_id for p in store.between("taxi", start, end)]
    assert found == [f"p{number}" for number in range(13, 27)]
    assert list(store.between("taxi", end, end)) == []
    assert list(store.between("iris", start, end)) == []


def test_the_latest_are_the_newest_of_the_model_oldest_first(store):
    store.add_predictions([prediction(number, model="taxi" if number % 2 else "iris") for number in range(10)])
    assert [p.prediction_id for p in store.latest("taxi", 3, until=NOON + timedelta(days=1))] == ["p5", "p7", "p9"]


def test_of_predictions_made_at_one_moment_the_latest_are_the_last_by_id(store):
    """As in a window: a list is answered at one moment, and a refill found others of it than the window held."""
    store.add_predictions([prediction(number, created_at=NOON) for number in (7, 3, 10, 1, 12, 9, 2)])
    store.add_predictions([prediction(8, created_at=NOON + timedelta(seconds=1))])
    assert [p.prediction_id for p in store.latest("taxi", 4, until=NOON + timedelta(days=1))] == [
        "p3",
        "p7",
        "p9",
        "p8",
    ]


def test_a_document_that_cannot_be_stored_is_refused_alone(store):
    odd = prediction(2, context={"huge": 2**70})
    refusals = store.add_predictions([prediction(1), odd, prediction(3)])
    assert [refusal.prediction_id for refusal in refusals] == ["p2"]
    assert refusals[0].reason
    assert sorted(store.prediction_ids()) == ["p1", "p3"]


def test_a_document_that_is_no_prediction_is_named_or_handed_over_and_the_rest_is_read(store):
    store.add_predictions([prediction(1), prediction(3)])
    store._db.predictions.insert_one({"_id": "odd", "model": "taxi", "created_at": NOON})
    end = NOON + timedelta(minutes=1)
    with pytest.raises(Rejected, match="odd of taxi is not a valid prediction"):
        list(store.between("taxi", NOON, end))
    skipped: list[Refusal] = []
    found = [p.prediction_id for p in store.between("taxi", NOON, end, skip=skipped.append)]
    assert (found, [refusal.prediction_id for refusal in skipped]) == (["p1", "p3"], ["odd"])
    assert [p.prediction_id for p in store.latest("taxi", 5, until=NOON + timedelta(days=1))] == ["p1", "p3"]


def test_ids_that_are_stored_are_told_with_their_model(store):
    store.add_predictions([prediction(1), prediction(2, model="iris")])
    assert store.existing_ids(["p1", "p2", "p3"], ["iris", "taxi"]) == {"p1": {"taxi"}, "p2": {"iris"}}
    assert store.models() == ["iris", "taxi"]


def test_traffic_is_told_by_the_hour(store):
    spread = [prediction(n, created_at=NOON + timedelta(minutes=25 * n), latency_ms=float(n)) for n in range(6)]
    store.add_predictions(spread)
    found = store.hourly("taxi", NOON, NOON + timedelta(hours=2))
    assert found == {NOON: HourlyTraffic(3, 3, 1.0), NOON + timedelta(hours=1): HourlyTraffic(2, 2, 3.5)}
    assert store.hourly("iris", NOON, NOON + timedelta(hours=2)) == {}


def test_a_prediction_of_unknown_latency_does_not_make_its_hour_faster(store):
    later = NOON + timedelta(hours=1)
    unknown = [prediction(2, latency_ms=None), prediction(3, latency_ms=None, created_at=later)]
    store.add_predictions([prediction(1, latency_ms=6.0), *unknown])
    found = store.hourly("taxi", NOON, NOON + timedelta(hours=2))
    assert found == {NOON: HourlyTraffic(2, 1, 6.0), later: HourlyTraffic(1, 0, None)}


def test_old_predictions_are_found_oldest_first_and_deleted_with_their_targets(store):
    store.add_predictions([prediction(number, created_at=NOON + timedelta(minutes=number)) for number in range(5)])
    store.add_targets([Target(f"p{number}", "taxi", 1.0, NOON) for number in range(4)])
    made = list(store.made_before("taxi", NOON + timedelta(minutes=3)))
    assert [identifier for identifier, _, _ in made] == ["p0", "p1", "p2"]
    old = ["p0", "p1"]
    assert store.delete("taxi", old) == (2, 2)
    assert store.delete("taxi", old) == (0, 0)
    assert sorted(store.prediction_ids()) == ["p2", "p3", "p4"]
    assert set(store.targets_for("taxi", ["p0", "p1", "p2", "p3"])) == {"p2", "p3"}


def test_a_document_that_is_no_target_has_not_arrived_and_is_handed_over(store):
    store.add_targets([Target("p1", "taxi", 9.0, NOON)])
    store._db.targets.insert_one({"_id": "p2", "model": "taxi", "target": 3.0, "received_at": "yesterday"})
    store._db.targets.insert_one({"_id": "p3", "model": "taxi"})
    skipped: list[Refusal] = []
    assert list(store.targets_for("taxi", ["p1", "p2", "p3"], skip=skipped.append)) == ["p1"]
    assert {refusal.prediction_id for refusal in skipped} == {"p2", "p3"}
    assert list(store.targets_for("taxi", ["p1", "p2", "p3"])) == ["p1"]


def test_reports_are_listed_newest_first_and_found_by_id(store):
    for number in range(3):
        made = NOON + timedelta(hours=number)
        store.add_report({"_id": f"r{number}", "model": "taxi", "created_at": made, "metrics": {"n": number}})
    assert [report["_id"] for report in store.reports("taxi")] == ["r2", "r1", "r0"]
    assert [set(report) for report in store.reports(without={"metrics"})] == [{"_id", "model", "created_at"}] * 3
    assert store.report("r1")["metrics"] == {"n": 1}
    assert store.report("unknown") is None
    assert store.reports("iris") == []


def test_without_a_server_every_call_says_that_mongodb_is_away():
    store = EventStore.connect(f"mongodb://127.0.0.1:{free_port()}", "sextant", timeout=0.2)
    calls = [
        store.ping,
        store.ensure_indexes,
        lambda: store.add_predictions([prediction(1)]),
        lambda: store.add_targets([Target("a", "taxi", 1.0, NOON)]),
        lambda: store.latest("taxi", 1, until=NOON + timedelta(days=1)),
        lambda: list(store.between("taxi", NOON, NOON)),
        lambda: store.targets_for("taxi", ["a"]),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="MongoDB"):
            call()
    store.close()
