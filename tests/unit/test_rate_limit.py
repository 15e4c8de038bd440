"""A limit counts for all workers together, begins anew with each period, and stops nobody when it cannot count."""

from pathlib import Path

import pytest

from prediction_service.rate_limit import PROBES, SLOTS, RateLimit


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_all_workers_count_together_and_each_client_for_itself(tmp_path: Path) -> None:
    clock = Clock()
    workers = [RateLimit("3/minute", tmp_path / "counts", clock) for _ in range(3)]
    assert [worker.seconds_to_wait("shop") for worker in workers] == [None] * 3
    for worker in workers:
        assert worker.seconds_to_wait("shop") == pytest.approx(20.0)  # the minute ends then
        assert worker.seconds_to_wait(f"other {id(worker)}") is None


def test_the_next_period_begins_anew(tmp_path: Path) -> None:
    clock = Clock()
    limit = RateLimit("1/second", tmp_path / "counts", clock)
    assert limit.seconds_to_wait("shop") is None
    assert limit.seconds_to_wait("shop") == 1.0
    clock.now += 1
    assert limit.seconds_to_wait("shop") is None


def test_so_many_clients_that_there_is_no_room_stop_nobody_and_are_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    limit = RateLimit("1/hour", tmp_path / "counts", clock)
    for number in range(SLOTS + 20 * PROBES):
        assert limit.seconds_to_wait(f"address {number}") is None
    clock.now += 3_600
    assert limit.seconds_to_wait("shop") is None
    assert limit.seconds_to_wait("shop") is not None


def test_where_the_file_cannot_be_made_each_worker_counts_for_itself(tmp_path: Path) -> None:
    limit = RateLimit("1/hour", tmp_path / "missing" / "counts", Clock())
    assert limit.seconds_to_wait("shop") is None
    assert limit.seconds_to_wait("shop") is not None
