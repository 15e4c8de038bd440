"""A damaged frame in the middle of the outbox's log hides what stands behind it, and a torn tail hides nothing."""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from prediction_service import outbox_recovery
from prediction_service.errors import OutboxCorrupt, OutboxUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_check import MOST_UNSYNCED
from prediction_service.outbox_lock import Acknowledged, acknowledged
from prediction_service.outbox_recovery import Salvaged, recover_if_corrupt
from prediction_service.outbox_types import SINKS, NewEvent, RefusedEvent
from prediction_service.write_ahead_log import FRAME_HEADER, HEADER, read_log

LIMIT = 10 << 20
FRAME = FRAME_HEADER + 4_096
LARGE = 3_000  # bytes, of which each event takes a page of its own


@pytest.fixture
def outbox(tmp_path: Path):
    box = Outbox(tmp_path / "outbox.db", LIMIT)
    yield box
    box.close()


def accept(outbox: Outbox, count: int, size: int = 20) -> None:
    """One by one, each in a transaction of its own."""
    first = outbox.counts()["mongodb"].accepted
    for number in range(first + 1, first + count + 1):
        outbox.append([NewEvent("prediction", b"%0*d" % (size, number))])


def killed(outbox: Outbox) -> Path:
    """What is found on the disk after a kill -9, or a power cut of an honest disk."""
    folder = outbox.path.parent / "found"
    folder.mkdir()
    for part in ("", "-wal", ".lock"):
        shutil.copyfile(f"{outbox.path}{part}", folder / f"outbox.db{part}")
    return folder / "outbox.db"


def log_of(outbox: Path) -> Path:
    return outbox.with_name("outbox.db-wal")


def overwrite(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(content)


def damage_frame(outbox: Path, number: int) -> None:
    overwrite(log_of(outbox), HEADER + number * FRAME + FRAME_HEADER + 2_000, b"\xa5" * 8)


def frame_of_event(outbox: Path, number: int, size: int) -> int:
    """The frame in which an event first stands."""
    body, log = b"%0*d" % (size, number), log_of(outbox).read_bytes()
    return (log.index(body) - HEADER) // FRAME


def numbers(path: Path) -> list[int]:
    with closing(Outbox(path, LIMIT)) as outbox:
        return [int(event.body) for event in outbox.queued("mongodb", 10_000)]


def test_a_damaged_frame_whose_page_stands_in_a_later_one_loses_nothing(outbox):
    accept(outbox, 50)
    delivered = outbox.queued("mongodb", 10)
    outbox.settle("mongodb", delivered, [RefusedEvent(delivered[0].seq, "no")])
    accept(outbox, 50)
    path = killed(outbox)
    damage_frame(path, 20)
    damaged = log_of(path).read_bytes()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT MAX(seq) FROM events").fetchone()[0] < 30  # the fault

    found = recover_if_corrupt(path, LIMIT, now=0.0)

    assert found.salvaged == Salvaged(recovered=100, unreadable=0)
    assert found.aside.with_name(found.aside.name + "-wal").read_bytes() == damaged
    assert numbers(path) == list(range(11, 101))
    with closing(Outbox(path, LIMIT)) as after:
        assert after.counts() == outbox.counts()
        assert [letter.reason for letter in after.dead_letters()] == ["no"]
    expected = {path.name, "outbox.db.lock", found.aside.name, f"{found.aside.name}-wal"}
    assert {each.name for each in path.parent.iterdir()} == expected
    assert recover_if_corrupt(path, LIMIT, now=1.0) is None


def test_of_a_damaged_frame_with_the_only_copy_of_an_event_the_events_on_both_sides_come_back(outbox):
    accept(outbox, 40, size=LARGE)
    path = killed(outbox)
    damage_frame(path, frame_of_event(path, 20, LARGE))
    found = recover_if_corrupt(path, LIMIT, now=0.0)
    assert found.salvaged.recovered + found.salvaged.unreadable == 40
    assert 1 <= found.salvaged.unreadable <= 3  # the page has a part of the event before it, perhaps
    assert set(numbers(path)) >= {*range(1, 19), *range(22, 41)}


def test_a_log_that_is_cut_off_is_missed(outbox):
    accept(outbox, 30)
    path = killed(outbox)
    os.truncate(log_of(path), HEADER + 15 * FRAME)
    found = recover_if_corrupt(path, LIMIT, now=0.0)
    assert found.salvaged.unreadable == 30 - found.salvaged.recovered > 10
    assert len(numbers(path)) == found.salvaged.recovered


def test_a_log_that_is_gone_is_missed(outbox):
    accept(outbox, 30)
    path = killed(outbox)
    log_of(path).unlink()
    assert recover_if_corrupt(path, LIMIT, now=0.0).salvaged == Salvaged(0, 30)


def test_a_damaged_header_of_the_log_loses_nothing_but_its_first_frame(outbox):
    accept(outbox, 30)
    path = killed(outbox)
    overwrite(log_of(path), 0, bytes(HEADER))
    assert recover_if_corrupt(path, LIMIT, now=0.0).salvaged == Salvaged(30, 0)
    assert numbers(path) == list(range(1, 31))


@pytest.mark.parametrize("beyond", [MOST_UNSYNCED - 8, MOST_UNSYNCED + 8])
def test_without_the_note_a_gap_is_damage_if_more_stands_behind_it_than_can_wait_for_a_sync(outbox, beyond):
    accept(outbox, 20 + beyond)
    path = killed(outbox)
    path.with_name("outbox.db.lock").unlink()
    commits = [frame.commits for frame in read_log(path).followed]
    frame = len(commits)
    while sum(commits[frame:]) < beyond:
        frame -= 1
    damage_frame(path, frame - 1)
    found = recover_if_corrupt(path, LIMIT, now=0.0)
    assert (found is not None) is (beyond > MOST_UNSYNCED)
    if found:
        assert numbers(path) == list(range(1, 21 + beyond))


def test_what_a_killed_recovery_left_does_not_disturb_the_next(outbox):
    accept(outbox, 50)
    path = killed(outbox)
    damage_frame(path, 20)
    for ending in (".patched", ".damaged", ".recovered"):
        for part in ("-wal", ".lock", ""):
            path.with_name(f"outbox.db{ending}{part}").write_bytes(log_of(outbox.path).read_bytes()[:50_000])
    assert recover_if_corrupt(path, LIMIT, now=0.0).salvaged == Salvaged(50, 0)
    assert numbers(path) == list(range(1, 51))


def test_the_command_reads_both_sides_too_and_changes_nothing(outbox, tmp_path, monkeypatch, capsys):
    accept(outbox, 50)
    path = killed(outbox)
    damage_frame(path, 20)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    monkeypatch.setenv("OUTBOX_PATH", str(tmp_path / "new" / "outbox.db"))
    monkeypatch.setattr(sys, "argv", ["outbox_recovery", str(path)])
    outbox_recovery.main()
    assert capsys.readouterr().out == "50 events recovered, at least 0 cannot be read\n"
    assert numbers(tmp_path / "new" / "outbox.db") == list(range(1, 51))
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_who_opens_it_first_does_not_overwrite_what_stands_behind_the_gap(outbox):
    accept(outbox, 50)
    path = killed(outbox)
    damage_frame(path, 20)
    before = log_of(path).read_bytes()
    for _ in range(2):
        with pytest.raises(OutboxCorrupt, match=r"lacks acknowledged events.*restart the prediction service"):
            Outbox(path, LIMIT)
    assert log_of(path).read_bytes() == before
    recover_if_corrupt(path, LIMIT, now=0.0)
    assert numbers(path) == list(range(1, 51))


@pytest.fixture
def torn(outbox, monkeypatch):
    """Ten events, and then one whose commit was written and not synced when the power was cut."""
    accept(outbox, 10)
    synced = log_of(outbox.path).stat().st_size

    def no_more(_descriptor: int) -> None:
        raise OSError("the power is cut")

    with monkeypatch.context() as cut:
        cut.setattr(os, "fdatasync", no_more)
        with pytest.raises(OutboxUnavailable):
            outbox.append([NewEvent("prediction", b"9" * 50_000), NewEvent("prediction", b"11")])
    path = killed(outbox)
    path.with_name("outbox.db.lock").write_bytes(b"." + path.with_name("outbox.db.lock").read_bytes()[1:])
    assert log_of(path).stat().st_size > synced + 5 * FRAME
    return path, (synced - HEADER) // FRAME


@pytest.mark.parametrize("torn_at", ["its first frame", "its middle", "the end of the file"])
def test_a_torn_tail_is_an_ordinary_start(torn, torn_at):
    path, first = torn
    if torn_at == "the end of the file":
        os.truncate(log_of(path), log_of(path).stat().st_size - 100)
    else:  # writes reach the disk in any order: the commit behind a missing frame may be there
        damage_frame(path, first if torn_at == "its first frame" else first + 3)
        assert read_log(path).beyond
    assert recover_if_corrupt(path, LIMIT, now=0.0) is None
    assert numbers(path) == list(range(1, 11))
    assert {each.name for each in path.parent.iterdir() if "corrupt" in each.name} == set()


def test_only_what_is_on_disk_is_noted_as_acknowledged(outbox, torn):
    accept(outbox, 1)
    assert acknowledged(torn[0]).seq == 10
    assert acknowledged(outbox.path).seq == outbox.counts()["mongodb"].accepted


def test_the_note_of_an_outbox_that_was_deleted_says_nothing_of_its_successor(outbox):
    accept(outbox, 5)
    before = acknowledged(outbox.path)
    path = killed(outbox)
    for part in ("", "-wal"):
        path.with_name(f"outbox.db{part}").unlink()
    assert recover_if_corrupt(path, LIMIT, now=0.0) is None
    assert numbers(path) == []
    assert recover_if_corrupt(path, LIMIT, now=0.0) is None
    assert acknowledged(path) == before


def test_the_lock_of_an_earlier_version_has_no_note(outbox):
    outbox.path.with_name("outbox.db.lock").write_bytes(b".")
    assert acknowledged(outbox.path) is None
    accept(outbox, 1)
    assert isinstance(acknowledged(outbox.path), Acknowledged)


def test_a_log_of_many_rounds_is_followed_as_far_as_sqlite_follows_it(outbox):
    for _ in range(4):
        accept(outbox, 150, size=LARGE)
        for sink in SINKS:
            outbox.settle(sink, outbox.queued(sink, 150), [])
    log = read_log(outbox.path)
    _, frames, _ = outbox._file.connection.execute("PRAGMA wal_checkpoint").fetchone()
    assert 0 < len(log.followed) == frames < (log_of(outbox.path).stat().st_size - HEADER) // FRAME
    assert not log.beyond
