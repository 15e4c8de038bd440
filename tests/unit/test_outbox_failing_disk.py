"""A disk that fails once: what was acknowledged survives a power cut, though later syncs say that all is well."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from prediction_service import outbox_connection, outbox_lock
from prediction_service.errors import OutboxUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_file import finish_replacement
from prediction_service.outbox_lock import SharedLock
from prediction_service.outbox_types import NewEvent, RefusedEvent
from tests.failing_disk import Disk

LIMIT = 10 << 20


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(os, "fdatasync", disk.sync)
    monkeypatch.setattr(os, "fsync", disk.sync)
    monkeypatch.setattr(outbox_connection, "REPLACE_SECONDS", 0.0)
    yield disk
    disk.close()


@pytest.fixture
def outbox(tmp_path: Path, disk: Disk) -> Outbox:
    return Outbox(tmp_path / "box" / "outbox.db", LIMIT)


def accepted(outbox: Outbox, *bodies: bytes) -> list[bytes]:
    """Those that were acknowledged."""
    done = []
    for body in bodies:
        try:
            outbox.append([NewEvent("prediction", body)])
        except OutboxUnavailable:
            continue
        done.append(body)
    return done


def queued(outbox: Outbox) -> list[bytes]:
    return [event.body for event in outbox.queued("mongodb", 1_000)]


def test_what_is_acknowledged_after_a_failed_sync_survives_a_power_cut(
    outbox: Outbox, disk: Disk, tmp_path: Path
) -> None:
    acknowledged = accepted(outbox, b"1", b"2")
    disk.failing = True
    assert accepted(outbox, b"lost") == []
    disk.failing = False
    acknowledged += accepted(outbox, b"3", b"4")
    assert acknowledged == [b"1", b"2", b"3", b"4"]
    found = Outbox(disk.after_a_power_cut(tmp_path / "box", tmp_path / "later") / "outbox.db", LIMIT)
    assert set(acknowledged) <= set(queued(found))


def test_every_process_refuses_until_a_new_file_can_be_made(outbox: Outbox, disk: Disk) -> None:
    other = Outbox(outbox.path, LIMIT)
    disk.failing = True
    assert accepted(outbox, b"1") == []
    for process in (other, outbox, other):
        with pytest.raises(OutboxUnavailable, match="no new file can be made"):
            process.check_writable()
    disk.failing = False
    assert accepted(other, b"2") == [b"2"]
    assert accepted(outbox, b"3") == [b"3"]
    assert queued(other)[-2:] == queued(outbox)[-2:] == [b"2", b"3"]
    assert other.counts()["mongodb"].conserved


def test_attempts_to_make_a_new_file_are_not_made_at_every_request(
    outbox: Outbox, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_connection, "REPLACE_SECONDS", 3_600.0)
    disk.failing = True
    accepted(outbox, b"1", b"2")
    disk.failing = False
    with pytest.raises(OutboxUnavailable, match="could be made yet"):
        outbox.check_writable()


def test_events_that_were_read_from_a_file_before_are_not_settled_in_the_new_one(
    outbox: Outbox, disk: Disk
) -> None:
    accepted(outbox, b"1")
    relay = Outbox(outbox.path, LIMIT)
    read = relay.queued("mongodb", 10)
    disk.failing = True
    accepted(outbox, b"2")
    disk.failing = False
    accepted(outbox, b"3")
    assert relay.replaced
    with pytest.raises(OutboxUnavailable, match="replaced"):
        relay.settle("mongodb", read, [])
    relay.settle("mongodb", relay.queued("mongodb", 10), [])
    assert relay.counts()["mongodb"].conserved
    assert queued(relay) == []


def test_dead_letters_and_counts_are_kept(outbox: Outbox, disk: Disk) -> None:
    accepted(outbox, b"1", b"2", b"3")
    first, *_ = outbox.queued("mongodb", 2)
    outbox.settle("mongodb", outbox.queued("mongodb", 2), [RefusedEvent(first.seq, "no")])
    before = outbox.counts()
    disk.failing = True
    accepted(outbox, b"4")
    disk.failing = False
    outbox.check_writable()
    assert [(letter.event.body, letter.reason) for letter in outbox.dead_letters()] == [(b"1", "no")]
    assert outbox.counts()["mongodb"].delivered == before["mongodb"].delivered == 1


def test_a_process_that_ends_while_the_new_file_is_put_in_place_loses_nothing(outbox: Outbox) -> None:
    acknowledged = accepted(outbox, b"1", b"2")
    new = outbox.path.with_name("outbox.db.new")
    outbox._file.connection.execute("VACUUM INTO ?", (str(new),))
    outbox.path.with_name("outbox.db-wal").unlink()
    assert queued(Outbox(outbox.path, LIMIT)) == acknowledged
    assert not new.exists()
    finish_replacement(outbox.path)  # nothing to do


@pytest.mark.parametrize("removed", [(), ("-wal",), ("-wal", "-shm"), ("-wal", "-shm", "")])
def test_who_lives_on_goes_on_where_one_was_killed_that_put_the_new_file_in_place(
    outbox: Outbox, disk: Disk, removed: tuple[str, ...]
) -> None:
    other = Outbox(outbox.path, LIMIT)
    acknowledged = accepted(outbox, b"1", b"2")
    disk.failing = True
    accepted(outbox, b"3")
    disk.failing = False
    outbox._file.connection.execute("VACUUM INTO ?", (str(outbox.path.with_name("outbox.db.new")),))
    for part in removed:
        outbox.path.with_name(f"outbox.db{part}").unlink()
    acknowledged += accepted(other, b"4")
    assert b"4" in acknowledged
    assert set(acknowledged) <= set(queued(other)) == set(queued(Outbox(outbox.path, LIMIT)))


def test_a_half_made_file_is_of_no_consequence(outbox: Outbox) -> None:
    acknowledged = accepted(outbox, b"1")
    outbox.path.with_name("outbox.db.building").write_bytes(b"half")
    assert queued(Outbox(outbox.path, LIMIT)) == acknowledged


def test_a_relay_notices_too_that_the_disk_failed(outbox: Outbox, disk: Disk) -> None:
    accepted(outbox, b"1")
    read = outbox.queued("mongodb", 1)
    disk.failing = True
    with pytest.raises(OutboxUnavailable, match="Input/output error"):
        outbox.settle("mongodb", read, [])
    disk.failing = False
    outbox.check_writable()
    assert outbox.replaced is False
    assert outbox.counts()["mongodb"].conserved


def test_a_process_that_holds_the_lock_for_good_stops_no_other_for_good(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_lock, "LOCK_SECONDS", 0.05)
    frozen = SharedLock(outbox.path)
    with frozen, pytest.raises(OutboxUnavailable, match="another process has held the outbox"):
        outbox.check_writable()
    outbox.check_writable()


def test_an_outbox_that_was_deleted_acknowledges_into_a_new_one(outbox: Outbox) -> None:
    accepted(outbox, b"1")
    outbox.path.unlink()
    assert accepted(outbox, b"2") == [b"2"]
    assert queued(Outbox(outbox.path, LIMIT)) == [b"2"]
