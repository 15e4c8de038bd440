"""Replaces a damaged outbox file by one that holds every event that can still be read from it."""

import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from prediction_service.errors import OutboxUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_file import is_being_replaced, means_damage, remove, replace_by
from prediction_service.outbox_lock import SharedLock
from prediction_service.outbox_types import NewEvent
from sextant.contracts.errors import Fatal, Retryable
from sextant.infrastructure.settings import load_settings

BATCH = 500
LONGEST_GAP = 50_000
"""Numbers without a readable event in a row, after which there is nothing more."""

PARTS = ("", "-wal")


@dataclass(frozen=True)
class Salvaged:
    """How many events were read and accepted again, and how many are there but cannot be read."""

    recovered: int
    unreadable: int


@dataclass(frozen=True)
class Recovery:
    """A damaged outbox that was replaced: where it is kept, and what could be read of it."""

    aside: Path
    salvaged: Salvaged


def recover_if_corrupt(path: Path, max_bytes: int, now: float) -> Recovery | None:
    """Put what can be read of a damaged outbox into a new one in its place, and keep the damaged one beside it.

    Nothing is changed before the new one is whole, so that this can be cut short and begun again at any time.
    None: the outbox is sound. Raises OutboxUnavailable when that cannot be told or done now, OutboxFull.
    """
    try:
        if _is_sound(path):
            return None
        with closing(SharedLock(path)) as lock, lock.held_at_last():
            return _recover(path, max_bytes, now)
    except (sqlite3.Error, OSError) as error:
        raise OutboxUnavailable(f"outbox {path} cannot be opened: {error}") from error


def _is_sound(path: Path) -> bool:
    if is_being_replaced(path):
        return True
    log = path.with_name(path.name + "-wal")
    if not path.exists() or path.stat().st_size == 0:
        return not log.exists() or log.stat().st_size == 0  # SQLite would drop a log without its file
    try:
        with closing(sqlite3.connect(path)) as connection:
            verdict: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if means_damage(error):
            return False
        raise
    return verdict == "ok"


def _recover(path: Path, max_bytes: int, now: float) -> Recovery:
    aside = path.with_name(f"{path.stem}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}{path.suffix}")
    copy, fresh = (path.with_name(path.name + ending) for ending in (".damaged", ".recovered"))
    try:
        for part in PARTS:
            if (found := path.with_name(path.name + part)).exists():
                for target in (aside, copy):  # reading may change it, and the one that is kept stays as it was
                    shutil.copyfile(found, target.with_name(target.name + part))
        with closing(Outbox(fresh, max_bytes)) as outbox:
            salvaged = salvage(copy, outbox)
            replace_by(path, fresh)
    finally:
        for database in (copy, fresh):
            remove(database)
        fresh.with_name(fresh.name + ".lock").unlink(missing_ok=True)
    return Recovery(aside, salvaged)


def salvage(aside: Path, outbox: Outbox) -> Salvaged:
    """Accept again every event that can still be read from a file set aside.

    Sinks take an event twice without harm, so events that had been delivered do no damage.
    """
    if not aside.exists() or aside.stat().st_size == 0:
        return Salvaged(0, 0)
    recovered = unreadable = 0
    with closing(sqlite3.connect(aside)) as connection:
        found = _events(connection)
        while part := list(islice(found, BATCH)):
            events = [event for event in part if event is not None]
            outbox.append(events)
            recovered += len(events)
            unreadable += len(part) - len(events)
    return Salvaged(recovered, unreadable)


def _events(connection: sqlite3.Connection) -> Iterator[NewEvent | None]:
    """The events in their order; None for one that is there but cannot be read."""
    last = 0
    try:
        for seq, kind, body in connection.execute("SELECT seq, kind, body FROM events ORDER BY seq"):
            last = seq
            yield NewEvent(kind, bytes(body))
    except sqlite3.DatabaseError:  # from here on, one by one: a damaged page hides only its own
        yield from _one_by_one(connection, last or _first(connection))


def _one_by_one(connection: sqlite3.Connection, last: int) -> Iterator[NewEvent | None]:
    damaged = missing = 0
    for seq in count(last + 1):
        try:
            row = connection.execute("SELECT kind, body FROM events WHERE seq = ?", (seq,)).fetchone()
        except sqlite3.DatabaseError:
            damaged += 1
        else:
            if row is not None:
                yield from [None] * damaged  # between events that can be read there were others
                yield NewEvent(row[0], bytes(row[1]))
                damaged = missing = 0
                continue
        missing += 1
        if missing > LONGEST_GAP:
            return


def _first(connection: sqlite3.Connection) -> int:
    """A number below that of the first event."""
    try:
        return int(connection.execute("SELECT MIN(position) FROM cursors").fetchone()[0] or 0)
    except sqlite3.DatabaseError:
        return 0


def main() -> None:
    """Bring back what can be read of the file named on the command line."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python -m prediction_service.outbox_recovery FILE  (an outbox that was set aside)")
    try:
        settings = load_settings()
        with closing(Outbox(settings.outbox_file, settings.outbox_max_bytes)) as outbox:
            found = salvage(Path(sys.argv[1]), outbox)
    except (Fatal, Retryable) as error:
        sys.exit(f"outbox: {error}")
    print(f"{found.recovered:,} events recovered, at least {found.unreadable:,} cannot be read")


if __name__ == "__main__":
    main()
