"""Replaces an outbox that is damaged, or lacks acknowledged events, by one with all that can still be read."""

import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from heapq import merge
from itertools import count, groupby, islice
from operator import itemgetter
from pathlib import Path

from prediction_service.errors import OutboxCorrupt, OutboxUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_check import damage
from prediction_service.outbox_file import remove, replace_by
from prediction_service.outbox_lock import Acknowledged, SharedLock, acknowledged
from prediction_service.outbox_types import NewEvent
from prediction_service.write_ahead_log import read_log
from sextant.contracts.errors import Fatal, Retryable
from sextant.infrastructure.settings import load_settings

BATCH = 500
LONGEST_GAP = 50_000
"""Numbers without a readable event in a row, after which there is nothing more."""

PARTS = ("", "-wal")
Found = Iterator[tuple[int, NewEvent]]


@dataclass(frozen=True)
class Salvaged:
    """How many events were read and accepted again, and how many are there but cannot be read."""

    recovered: int
    unreadable: int


@dataclass(frozen=True)
class Recovery:
    """A damaged outbox that was replaced: where it is kept, and what could be read of it."""

    aside: Path
    damage: str
    salvaged: Salvaged


def recover_if_corrupt(path: Path, max_bytes: int, now: float) -> Recovery | None:
    """Put what can be read of a damaged outbox into a new one in its place, and keep the damaged one beside it.

    Nothing is changed before the new one is whole, so that this can be cut short and begun again at any time.
    None: the outbox is sound. Raises OutboxUnavailable when that cannot be told or done now, OutboxFull.
    """
    try:
        if damage(path) is None:
            return None
        with closing(SharedLock(path)) as lock, lock.held_at_last():
            found = damage(path)
            return _recover(path, found, max_bytes, now) if found else None
    except (sqlite3.Error, OSError) as error:
        raise OutboxUnavailable(f"outbox {path} cannot be opened: {error}") from error


def _recover(path: Path, found_damage: str, max_bytes: int, now: float) -> Recovery:
    aside = path.with_name(f"{path.stem}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}{path.suffix}")
    note, fresh = acknowledged(path), path.with_name(path.name + ".recovered")
    _copy(path, aside)
    with _views(path) as (patched, copy), _temporary(fresh):
        if (waiting := _waiting_if_whole(patched, max_bytes, note)) is not None:
            salvaged, source = Salvaged(waiting, 0), patched
        else:
            with closing(Outbox(fresh, max_bytes)) as outbox:
                salvaged, source = salvage([patched, copy], outbox, note), fresh
        replace_by(path, source)
    return Recovery(aside, found_damage, salvaged)


@contextmanager
def _views(outbox: Path) -> Iterator[tuple[Path, Path]]:
    """Copies of an outbox, since reading may change them: with what stands behind a gap in its log, and without.

    The first is not there if there is no gap.
    """
    patched, copy = (outbox.with_name(outbox.name + ending) for ending in (".patched", ".damaged"))
    with _temporary(patched, copy):
        _copy(outbox, copy)
        log = read_log(copy)
        if log.beyond:
            shutil.copyfile(copy, patched)
            log.write_to(patched)
        yield patched, copy


@contextmanager
def _temporary(*databases: Path) -> Iterator[None]:
    """Files that are not there before, though somebody was killed who made them, nor afterwards."""

    def remove_all() -> None:
        for database in databases:
            remove(database)
            database.with_name(database.name + ".lock").unlink(missing_ok=True)

    remove_all()
    try:
        yield
    finally:
        remove_all()


def _copy(outbox: Path, target: Path) -> None:
    for part in PARTS:
        found = outbox.with_name(outbox.name + part)
        if found.exists() and (found.stat().st_size or not part):
            shutil.copyfile(found, target.with_name(target.name + part))


def _waiting_if_whole(database: Path, max_bytes: int, note: Acknowledged | None) -> int | None:
    """How many events wait in it, if nothing is missing although a frame of its log was damaged; else None."""
    if not database.exists() or damage(database):
        return None
    try:
        with closing(Outbox(database, max_bytes)) as outbox:
            accounts = outbox.counts().values()
    except OutboxCorrupt:
        return None
    accepted = max(account.accepted for account in accounts)
    if all(account.conserved for account in accounts) and (note is None or note.seq <= accepted):
        return max(account.queued for account in accounts)
    return None


def salvage(sources: Sequence[Path], outbox: Outbox, note: Acknowledged | None = None) -> Salvaged:
    """Accept again every event that can still be read from files set aside, each of them a view of one outbox.

    Sinks take an event twice without harm, so events that had been delivered do no damage.
    """
    with ExitStack() as opened:
        views = [
            opened.enter_context(closing(sqlite3.connect(source)))
            for source in sources
            if source.exists() and source.stat().st_size > 0
        ]
        settled = max((_read_number(view, "SELECT MIN(position) FROM cursors") for view in views), default=0)
        newest = note.seq if note and any(_identity(view) == note.outbox for view in views) else 0
        recovered = waited = 0
        found = _events(views)
        while part := list(islice(found, BATCH)):
            outbox.append([event for _, event in part])
            recovered += len(part)
            waited += sum(seq > settled for seq, _ in part)
            newest = max(newest, part[-1][0])
    return Salvaged(recovered, max(0, newest - settled - waited))


def _events(views: Sequence[sqlite3.Connection]) -> Found:
    """The events that at least one of them has, in their order."""
    for _, versions in groupby(merge(*map(_readable, views), key=itemgetter(0)), key=itemgetter(0)):
        yield next(versions)


def _readable(view: sqlite3.Connection) -> Found:
    last = 0
    try:
        for seq, kind, body in view.execute("SELECT seq, kind, body FROM events ORDER BY seq"):
            last = seq
            yield seq, NewEvent(kind, bytes(body))
    except sqlite3.DatabaseError as error:  # from here on, one by one: a damaged page hides only its own
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            return
        yield from _one_by_one(view, last or _read_number(view, "SELECT MIN(position) FROM cursors"))


def _one_by_one(view: sqlite3.Connection, last: int) -> Found:
    missing = 0
    for seq in count(last + 1):
        try:
            row = view.execute("SELECT kind, body FROM events WHERE seq = ?", (seq,)).fetchone()
        except sqlite3.DatabaseError:
            row = None
        if row is not None:
            yield seq, NewEvent(row[0], bytes(row[1]))
        missing = 0 if row is not None else missing + 1
        if missing > LONGEST_GAP:
            return


def _identity(view: sqlite3.Connection) -> int:
    return _read_number(view, "PRAGMA application_id")


def _read_number(view: sqlite3.Connection, query: str) -> int:
    try:
        return int(view.execute(query).fetchone()[0] or 0)
    except sqlite3.DatabaseError:
        return 0


def main() -> None:
    """Bring back what can be read of the file named on the command line."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python -m prediction_service.outbox_recovery FILE  (an outbox that was set aside)")
    try:
        settings = load_settings()
        with closing(Outbox(settings.outbox_file, settings.outbox_max_bytes)) as outbox:
            with _views(Path(sys.argv[1])) as views:
                found = salvage(views, outbox)
    except (Fatal, Retryable, OSError) as error:
        sys.exit(f"outbox: {error}")
    print(f"{found.recovered:,} events recovered, at least {found.unreadable:,} cannot be read")


if __name__ == "__main__":
    main()
