"""The outbox's file gets smaller again after an outage, and nothing of what waits in it is lost by that."""

import errno
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from prediction_service import outbox as outbox_module
from prediction_service import outbox_file
from prediction_service.delivery import Delivery
from prediction_service.outbox import Outbox
from prediction_service.outbox_types import SINKS, NewEvent, RefusedEvent

LIMIT = 100 << 20


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbox_module, "SPARE_PAGES", 64)
    box = Outbox(tmp_path / "outbox.db", LIMIT)
    yield box
    box.close()


def fill(outbox: Outbox, first: int = 0, last: int = 400) -> None:
    """An outage: events of 20 KB, 8 MB of them."""
    outbox.append([NewEvent("prediction", b"%d " % number + b"x" * 20_000) for number in range(first, last)])


def settle(outbox: Outbox, count: int) -> None:
    for sink in SINKS:
        outbox.settle(sink, outbox.queued(sink, count), [])


def shrink(outbox: Outbox) -> None:
    while outbox._is_mostly_empty():
        outbox.shrink()
    outbox._file.connection.execute("PRAGMA wal_checkpoint").fetchone()


def numbers(outbox: Outbox) -> list[int]:
    return [int(event.body.split()[0]) for event in outbox.queued("mongodb", 1_000)]


def test_the_file_gets_smaller_as_it_empties_and_keeps_what_waits(outbox):
    fill(outbox)
    outbox._file.connection.execute("PRAGMA wal_checkpoint").fetchone()
    full = outbox.path.stat().st_size
    settle(outbox, 360)
    shrink(outbox)
    assert outbox.path.stat().st_size < full / 4
    assert numbers(outbox) == list(range(360, 400))
    assert outbox.counts()["mongodb"].conserved
    assert outbox._file.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    settle(outbox, 40)
    shrink(outbox)
    assert outbox.path.stat().st_size < 70 * 4_096 + 40_000


def test_little_is_given_back_at_a_time(outbox, monkeypatch):
    fill(outbox)
    settle(outbox, 400)
    free = outbox_file.pages(outbox._file.connection)[1]
    monkeypatch.setattr(outbox_module, "SHRINK_SECONDS", 0.0)
    outbox.shrink()
    assert outbox_file.pages(outbox._file.connection)[1] == free
    monkeypatch.setattr(outbox_module, "SHRINK_SECONDS", 0.001)
    while outbox_file.pages(outbox._file.connection)[1] == free:  # a slow machine has no time for one page
        outbox.shrink()
    assert 64 < outbox_file.pages(outbox._file.connection)[1] < free


def test_a_file_that_is_used_is_left_as_it_is(outbox):
    fill(outbox)
    settle(outbox, 150)
    before = outbox_file.pages(outbox._file.connection)
    outbox.shrink()
    assert outbox_file.pages(outbox._file.connection) == before


class Sink:
    """Takes everything."""

    name = "mongodb"

    def deliver(self, _events: object) -> list[RefusedEvent]:
        return []


def test_the_relay_gives_back_room_after_each_batch_and_while_it_has_nothing_to_do(outbox):
    fill(outbox)
    fill(outbox, 400, 401)
    settle(outbox, 400)
    delivery = Delivery(lambda: outbox, Sink())
    free = outbox_file.pages(outbox._file.connection)[1]
    delivery.step(outbox)
    after_a_batch = outbox_file.pages(outbox._file.connection)[1]
    assert after_a_batch < free
    deadline = time.monotonic() + 30
    while outbox._is_mostly_empty() and time.monotonic() < deadline:
        delivery.step(outbox)
    assert not outbox._is_mostly_empty()


def test_a_disk_without_room_for_that_fails_no_delivery(outbox, monkeypatch):
    fill(outbox)
    settle(outbox, 400)

    class Full:
        def execute(self, statement: str) -> object:
            if "incremental_vacuum" in statement:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return connection.execute(statement)

        in_transaction = True

    connection, outbox._file.connection = outbox._file.connection, Full()
    outbox.shrink()
    outbox._file.connection = connection
    fill(outbox, 400, 401)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A file that an earlier version made and filled; it was killed."""
    path = tmp_path / "older.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(outbox_file.SCHEMA)
    connection.execute("INSERT INTO events (at, kind, body) VALUES (1, 'prediction', x'30')")
    for part in ("", "-wal"):
        (tmp_path / f"outbox.db{part}").write_bytes((tmp_path / f"older.db{part}").read_bytes())
    connection.close()
    return tmp_path / "outbox.db"


def shrinks(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA auto_vacuum").fetchone()[0])


def test_the_file_of_an_earlier_version_is_made_anew_when_it_is_opened(older):
    with closing(Outbox(older, LIMIT)) as outbox:
        assert numbers(outbox) == [0]
    assert shrinks(older)
    inode = older.stat().st_ino
    Outbox(older, LIMIT).close()
    assert older.stat().st_ino == inode


def test_where_there_is_no_room_to_make_it_anew_the_file_of_an_earlier_version_serves_as_before(
    older, monkeypatch
):
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(outbox_file, "_sync", no_room)
        with closing(Outbox(older, LIMIT)) as outbox:
            assert numbers(outbox) == [0]
    assert not shrinks(older)
    assert {path.name for path in older.parent.iterdir() if "building" in path.name} == set()


def test_what_takes_the_place_of_an_older_file_whose_writing_failed_gets_smaller_too(older):
    outbox_file.replace(older)
    assert shrinks(older)
