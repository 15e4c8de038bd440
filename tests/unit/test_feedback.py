"""Targets on their way to the service: batches of them, and their delay."""

from collections.abc import Iterator

import pytest

from sextant.traffic.client import Client, Outage, SendStats
from sextant.traffic.feedback import DelayedFeedback, send_targets
from tests.fake_prediction_service import FakePredictionService


@pytest.fixture
def service() -> Iterator[FakePredictionService]:
    with FakePredictionService().running() as running:
        yield running


def client(service: FakePredictionService) -> Client:
    return Client(service.url, outage=Outage(print), wait=lambda _seconds: True, retry_seconds=0)


def items(count: int) -> list[dict[str, object]]:
    return [{"prediction_id": f"id-{number}", "target": 1.0, "model": "taxi"} for number in range(count)]


def test_one_refused_item_does_not_take_its_batch_along(service: FakePredictionService) -> None:
    service.refused_ids = {"id-77"}
    stats = SendStats("targets")
    send_targets(client(service), items(500), stats)
    assert stats.accepted == len(service.targets) == 499
    assert dict(stats.failed) == {"HTTP 422": 1}
    assert stats.reasons["HTTP 422"] == "no such prediction"


def test_every_target_that_was_added_is_sent_once(service: FakePredictionService) -> None:
    feedback = DelayedFeedback(client(service), "taxi", 0, SendStats("targets"))
    for number in range(300):
        feedback.add({f"id-{number}": float(number)})
    feedback.complete()
    assert feedback.join(timeout=30)
    assert sorted(item["target"] for item in service.targets) == list(range(300))
    assert {item["model"] for item in service.targets} == {"taxi"}


def test_a_target_waits_for_its_delay_and_may_be_left_unsent(service: FakePredictionService) -> None:
    feedback = DelayedFeedback(client(service), "taxi", 3_600, SendStats("targets"))
    feedback.add({"id-1": 1.0})
    feedback.complete()
    assert not feedback.join(timeout=0.6)
    feedback.cancel()
    assert feedback.join(timeout=30)
    assert (feedback.pending, service.targets) == (1, [])
