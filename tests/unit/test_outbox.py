"""The outbox: what is accepted is on disk, accounted for, and never silently gone."""

import errno
import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_service import outbox_connection, outbox_recovery
from prediction_service.errors import OutboxCorrupt, OutboxFull, OutboxUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_recovery import Salvaged, recover_if_corrupt
from prediction_service.outbox_types import SINKS, NewEvent, RefusedEvent
from tests.processes import wait_until

LIMIT = 10 << 20


@pytest.fixture
def outbox(tmp_path: Path):
    box = Outbox(tmp_path / "outbox.db", LIMIT)
    yield box
    box.close()


def events(count: int, size: int = 20) -> list[NewEvent]:
    return [NewEvent("prediction", f"{number:0{size}}".encode()) for number in range(count)]


def test_what_was_appended_is_there_after_reopening_the_file(tmp_path):
    first = Outbox(tmp_path / "outbox.db", LIMIT)
    first.append(events(3))
    # No close(): the process is gone as after kill -9.
    second = Outbox(tmp_path / "outbox.db", LIMIT)
    assert [event.body for event in second.queued("mongodb", 10)] == [event.body for event in events(3)]


def test_a_batch_ends_with_the_event_that_reaches_the_limit_in_bytes_and_holds_at_least_one(outbox):
    outbox.append(events(10, size=100))
    assert [event.seq for event in outbox.queued("mongodb", 10, max_bytes=250)] == [1, 2, 3]
    assert [event.seq for event in outbox.queued("mongodb", 2, max_bytes=250)] == [1, 2]
    assert [event.seq for event in outbox.queued("mongodb", 10, max_bytes=1)] == [1]


def test_an_append_returns_only_after_its_commit_was_forced_to_disk(outbox, monkeypatch):
    synced: list[tuple[int, int]] = []
    other = Outbox(outbox.path, LIMIT)

    def record(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, other.lag("mongodb")))

    monkeypatch.setattr(os, "fdatasync", record)
    outbox.append(events(2))
    log = outbox.path.with_name(outbox.path.name + "-wal")
    assert synced == [(log.stat().st_ino, 2)]  # the log that others read, once they could see the commit


def test_a_disk_that_cannot_sync_acknowledges_nothing(outbox, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OutboxUnavailable, match="input/output error"):
        outbox.append(events(1))


def test_of_threads_that_wait_for_one_failed_sync_none_acknowledges(outbox, monkeypatch):
    """The kernel says only once that it lost something, whichever of them asks."""
    calls = []

    def fail_once(_descriptor: int) -> None:
        calls.append(1)
        if len(calls) == 1:
            wait_until(lambda: outbox.lag("mongodb") == 2, "the other thread to commit")
            raise OSError(errno.EIO, "Input/output error")

    def append(_number: int) -> str:
        try:
            outbox.append(events(1))
        except OutboxUnavailable as error:
            return str(error)
        return "acknowledged"

    monkeypatch.setattr(os, "fdatasync", fail_once)
    with ThreadPoolExecutor(2) as threads:
        assert "acknowledged" not in set(threads.map(append, range(2)))


def test_checkpoints_sync_too(outbox):
    assert outbox._file.connection.execute("PRAGMA synchronous").fetchone()[0] == 1  # NORMAL, not OFF


def test_the_log_is_moved_into_the_file_before_it_grows_long(outbox):
    for _ in range(40):
        outbox.append(events(200, size=1_000))
        outbox.settle("mongodb", outbox.queued("mongodb", 200), [])
        outbox.settle("monitoring", outbox.queued("monitoring", 200), [])
    assert outbox.path.with_name("outbox.db-wal").stat().st_size < 8 << 20


def test_a_checkpoint_that_fails_is_noticed_and_the_file_is_not_trusted_again(tmp_path, monkeypatch):
    """SQLite hid it and tried again, and its success then was believed: pages were missing after a power cut."""
    monkeypatch.setattr(outbox_connection, "REPLACE_SECONDS", 0)
    outbox = Outbox(tmp_path / "outbox.db", 1 << 30)
    before, acknowledged = outbox._file.inode, 0
    with file_size_limit(9 << 20):  # the log stays below it, and the file does not
        with pytest.raises(OutboxUnavailable):
            for _ in range(40):
                outbox.append(events(500, size=1_000))
                acknowledged += 1
        assert outbox.path.with_name("outbox.db-wal").stat().st_size < 8 << 20
        with pytest.raises(OutboxUnavailable, match="no new file can be made"):
            outbox.append(events(1))
    outbox.append(events(1))
    assert outbox._file.inode != before
    assert outbox.lag("mongodb") >= 500 * acknowledged + 1
    outbox.close()


@contextmanager
def file_size_limit(limit: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_each_sink_has_a_cursor_of_its_own(outbox):
    outbox.append(events(5))
    outbox.settle("mongodb", outbox.queued("mongodb", 3), [])
    assert len(outbox.queued("mongodb", 10)) == 2
    assert len(outbox.queued("monitoring", 10)) == 5


def test_events_leave_the_file_when_every_sink_has_them(outbox):
    outbox.append(events(5))
    for sink in SINKS:
        outbox.settle(sink, outbox.queued(sink, 5), [])
    # All but the newest, whose number is the count of all that were ever accepted.
    assert outbox._file.connection.execute("SELECT COUNT(*) FROM events").fetchone()[0] == 1
    assert outbox.queued("mongodb", 10) == []
    outbox.append(events(1))
    assert outbox.counts()["mongodb"].accepted == 6


def test_a_refused_event_becomes_a_dead_letter_with_its_reason(outbox):
    outbox.append(events(2))
    queued = outbox.queued("mongodb", 2)
    outbox.settle("mongodb", queued, [RefusedEvent(queued[1].seq, "too odd")])
    letter = next(outbox.dead_letters("mongodb"))
    sink, event, reason = letter.sink, letter.event, letter.reason
    assert (sink, event.body, reason) == ("mongodb", queued[1].body, "too odd")
    assert outbox.counts()["mongodb"].dead_lettered == 1


def test_a_full_outbox_takes_nothing_and_loses_nothing(tmp_path):
    outbox = Outbox(tmp_path / "outbox.db", 200_000)
    accepted = 0
    with pytest.raises(OutboxFull, match="limit"):
        for _ in range(1_000):
            outbox.append(events(1, size=1_000))
            accepted += 1
    assert 100 < accepted < 300
    assert outbox.counts()["mongodb"].queued == accepted
    for sink in SINKS:
        outbox.settle(sink, outbox.queued(sink, accepted), [])
    outbox.append(events(1))


def test_a_batch_is_accepted_whole_or_not_at_all(outbox):
    with pytest.raises(AttributeError):
        outbox.append([*events(2), "not an event"])
    assert outbox.counts()["mongodb"].accepted == 0


def test_skipping_leaves_the_newest_and_counts_the_rest(outbox):
    outbox.append(events(10))
    assert outbox.lag("monitoring") == 10
    assert outbox.skip_to_newest("monitoring", 4) == 6
    assert [event.seq for event in outbox.queued("monitoring", 10)] == [7, 8, 9, 10]
    assert outbox.skip_to_newest("monitoring", 4) == 0
    assert outbox.counts()["monitoring"].skipped == 6
    assert len(outbox.queued("mongodb", 20)) == 10


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 5)),
            st.tuples(st.sampled_from(SINKS), st.integers(1, 5), st.booleans()),
            st.tuples(st.just("skip"), st.integers(0, 5)),
        ),
        max_size=30,
    )
)
def test_accepted_is_delivered_plus_queued_plus_dead_lettered_plus_skipped_at_any_time(tmp_path_factory, steps):
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "outbox.db", LIMIT)
    for step in steps:
        if step[0] == "append":
            outbox.append(events(step[1]))
        elif step[0] == "skip":
            outbox.skip_to_newest("monitoring", step[1])
        elif queued := outbox.queued(step[0], step[1]):
            outbox.settle(step[0], queued, [RefusedEvent(queued[0].seq, "refused")] if step[2] else [])
        for counts in outbox.counts().values():
            assert counts.conserved, (step, counts)
    outbox.close()


def test_an_event_that_vanishes_from_the_file_breaks_conservation(outbox):
    outbox.append(events(3))
    outbox._file.connection.execute("DELETE FROM events WHERE seq = 2")
    assert not outbox.counts()["mongodb"].conserved


@pytest.mark.parametrize("damage", ["not a database", "a torn page"])
def test_a_corrupt_file_is_set_aside_and_what_is_readable_comes_back(tmp_path, damage):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, LIMIT)
    outbox.append(events(2_000, size=400))
    outbox._file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox.close()
    content = bytearray(path.read_bytes())
    if damage == "not a database":
        content[:100] = b"x" * 100
    else:
        content[len(content) // 2 : len(content) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(content)

    found = recover_if_corrupt(path, LIMIT, now=0.0)

    assert found.aside.name == "outbox.corrupt-19700101T000000Z.db"
    assert found.aside.read_bytes() == bytes(content)
    assert {each.name for each in tmp_path.iterdir()} == {path.name, found.aside.name, "outbox.db.lock"}
    fresh = Outbox(path, LIMIT)
    if damage == "a torn page":
        assert found.salvaged.recovered >= 1_980  # a page holds nine, and those behind it are there too
        assert found.salvaged.recovered + found.salvaged.unreadable == 2_000
        recovered = {event.body for event in fresh.queued("mongodb", 3_000)}
        assert {event.body for event in events(2_000, size=400)[-500:]} <= recovered
    else:
        assert found.salvaged == Salvaged(0, 0)


def test_a_log_whose_file_is_gone_or_empty_is_set_aside(tmp_path):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, LIMIT)
    outbox.append(events(3))
    log = path.with_name("outbox.db-wal").read_bytes()
    path.write_bytes(b"")
    found = recover_if_corrupt(path, LIMIT, now=0.0)
    assert found.aside.with_name(found.aside.name + "-wal").read_bytes() == log
    assert found.salvaged == Salvaged(0, 0)


def test_a_sound_file_stays_where_it_is(tmp_path, outbox):
    outbox.append(events(1))
    assert recover_if_corrupt(outbox.path, LIMIT, now=0.0) is None
    assert recover_if_corrupt(tmp_path / "absent.db", LIMIT, now=0.0) is None


@pytest.fixture
def cannot_be_opened(tmp_path):
    """An outbox whose shared memory SQLite cannot make, as on a full disk; it holds three events."""
    path = tmp_path / "outbox.db"
    with closing(Outbox(path, LIMIT)) as outbox:
        outbox.append(events(3))
    path.with_name("outbox.db-shm").symlink_to("nowhere")
    return path


def test_a_sound_file_that_cannot_be_opened_now_is_not_taken_for_a_corrupt_one(cannot_be_opened):
    for open_it in (
        lambda: recover_if_corrupt(cannot_be_opened, LIMIT, 0.0),
        lambda: Outbox(cannot_be_opened, LIMIT),
    ):
        with pytest.raises(OutboxUnavailable, match="cannot be opened"):
            open_it()
    cannot_be_opened.with_name("outbox.db-shm").unlink()
    assert recover_if_corrupt(cannot_be_opened, LIMIT, now=0.0) is None
    assert len(Outbox(cannot_be_opened, LIMIT).queued("mongodb", 10)) == 3


def test_a_recovery_that_is_cut_short_changes_nothing_and_is_begun_again(tmp_path, monkeypatch):
    path = tmp_path / "outbox.db"
    path.write_bytes(b"hello " * 1_000)

    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full, pytest.raises(OutboxUnavailable, match="No space left"):
        full.setattr(outbox_recovery, "replace_by", no_room)
        recover_if_corrupt(path, LIMIT, now=0.0)
    assert path.read_bytes() == b"hello " * 1_000
    assert recover_if_corrupt(path, LIMIT, now=1.0).salvaged == Salvaged(0, 0)
    assert Outbox(path, LIMIT).counts()["mongodb"].accepted == 0


def test_what_a_new_file_is_about_to_replace_is_not_judged(tmp_path):
    with closing(Outbox(tmp_path / "other.db", LIMIT)) as other:
        other.append(events(2))
    path = tmp_path / "outbox.db"
    path.write_bytes(b"hello " * 1_000)
    other.path.rename(tmp_path / "outbox.db.new")
    assert recover_if_corrupt(path, LIMIT, now=0.0) is None
    assert len(Outbox(path, LIMIT).queued("mongodb", 10)) == 2


def test_a_process_that_cannot_open_the_new_file_yet_goes_on_with_it_later(outbox):
    outbox.append(events(1))
    with closing(Outbox(outbox.path.with_name("other.db"), LIMIT)) as other:
        other.append(events(2))
    other.path.rename(outbox.path)
    outbox.path.with_name("outbox.db-shm").unlink()
    outbox.path.with_name("outbox.db-wal").unlink()
    outbox.path.with_name("outbox.db-shm").symlink_to("nowhere")
    for _ in range(2):
        with pytest.raises(OutboxUnavailable, match="cannot be opened"):
            outbox.append(events(1))
    outbox.path.with_name("outbox.db-shm").unlink()
    outbox.append(events(1))
    assert outbox.counts()["mongodb"].accepted == 3


def test_opening_something_that_is_no_outbox_names_the_file(tmp_path):
    path = tmp_path / "outbox.db"
    path.write_bytes(b"hello " * 1_000)
    with pytest.raises(OutboxCorrupt, match=r"outbox\.db"):
        Outbox(path, LIMIT)


def test_an_outbox_knows_when_another_file_stands_in_its_place(outbox):
    assert not outbox.replaced
    outbox.path.rename(outbox.path.with_name("aside.db"))
    assert outbox.replaced


def test_threads_share_an_outbox(outbox):
    bodies = [b"%d" % number for number in range(80)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda body: outbox.append([NewEvent("prediction", body)]), bodies))
    assert sorted(event.body for event in outbox.queued("mongodb", 100)) == sorted(bodies)


def test_what_was_written_to_a_file_that_another_thread_replaced_is_not_acknowledged(outbox):
    class ReplacedAfterwards:
        """Lets another thread replace the file as soon as the sync is over."""

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_error: object) -> None:
            outbox._file._syncing = threading.Lock()
            outbox._file._lock.writing_failed = True
            another = threading.Thread(target=outbox.check_writable)
            another.start()
            another.join()

    before, outbox._file._syncing = outbox._file._opened, ReplacedAfterwards()
    with pytest.raises(OutboxUnavailable, match="replaced"):
        outbox.append([NewEvent("prediction", b"{}")])
    assert outbox._file._opened > before


def test_who_opens_an_outbox_that_is_there_writes_nothing(outbox):
    outbox.append(events(1))
    log = outbox.path.with_name("outbox.db-wal")
    before = log.read_bytes(), outbox.path.read_bytes()
    Outbox(outbox.path, LIMIT)
    assert (log.read_bytes(), outbox.path.read_bytes()) == before
