"""The relay's metrics: the outbox is opened once for all scrapes, and followed when another takes its place."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prediction_service.outbox import Outbox
from prediction_service.outbox_types import NewEvent
from prediction_service.relay_metrics import RelayMetrics

LIMIT = 10 << 20


class Opener:
    """Opens the outbox of a folder, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "outbox.db"
        self.opened = 0

    def __call__(self) -> Outbox:
        self.opened += 1
        return Outbox(self.path, LIMIT)

    def fill(self, events: int) -> None:
        outbox = Outbox(self.path, LIMIT)
        outbox.append([NewEvent("prediction", b"{}")] * events)
        outbox.close()


@pytest.fixture
def opener(tmp_path: Path) -> Opener:
    return Opener(tmp_path)


@pytest.fixture
def metrics(opener: Opener) -> Iterator[RelayMetrics]:
    metrics = RelayMetrics(opener, LIMIT)
    yield metrics
    metrics.close()


def queued(metrics: RelayMetrics) -> float | None:
    return metrics.registry.get_sample_value("sextant_outbox_events", {"sink": "mongodb"})


def test_each_scrape_sees_the_newest_counts_of_an_outbox_that_was_opened_once(
    opener: Opener, metrics: RelayMetrics
) -> None:
    assert queued(metrics) == 0
    opener.fill(3)
    assert queued(metrics) == 3
    assert opener.opened == 1


def test_an_outbox_that_was_set_aside_is_followed(opener: Opener, metrics: RelayMetrics) -> None:
    opener.fill(3)
    assert queued(metrics) == 3
    for file in opener.path.parent.glob("outbox.db*"):
        file.rename(file.with_name(f"aside-{file.name}"))
    opener.fill(1)
    assert queued(metrics) == 1
    assert opener.opened == 2


def test_scrapes_at_the_same_time_agree(opener: Opener, metrics: RelayMetrics) -> None:
    opener.fill(5)
    with ThreadPoolExecutor(8) as scrapers:
        assert set(scrapers.map(lambda _: queued(metrics), range(100))) == {5}


def test_the_limit_is_told_so_that_an_alert_can_tell_when_it_is_reached(metrics: RelayMetrics) -> None:
    assert metrics.registry.get_sample_value("sextant_outbox_limit_bytes") == LIMIT
