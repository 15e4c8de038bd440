"""Whether an outbox holds all that was acknowledged; asked before it is opened, which may hide what is missing.

SQLite ends its log at the first damaged frame, as it must after a power cut. But what stands behind a gap may have
been acknowledged, and the next transaction overwrites it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from prediction_service.errors import OutboxCorrupt
from prediction_service.outbox_file import is_being_replaced, means_damage
from prediction_service.outbox_lock import acknowledged
from prediction_service.write_ahead_log import read_log

MOST_UNSYNCED = 128
"""More transactions than can wait for a sync at one time: one of each worker and delivery, and those of before."""


def damage(outbox: Path) -> str | None:
    """What is wrong with a page of it, or missing; None if nothing is. Raises sqlite3.Error, OSError."""
    try:
        require_all_acknowledged(outbox)
        if not _exists(outbox) or is_being_replaced(outbox):
            return None
        with looking_at(outbox) as connection:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except OutboxCorrupt as error:
        return str(error)
    except sqlite3.DatabaseError as error:
        if means_damage(error):
            return str(error)
        raise
    return None if verdict == "ok" else verdict


def require_all_acknowledged(outbox: Path) -> None:
    """Raise OutboxCorrupt if events were acknowledged that SQLite will not find; also sqlite3.Error, OSError."""
    if is_being_replaced(outbox):
        return
    if not _exists(outbox):
        log = outbox.with_name(outbox.name + "-wal")
        if log.exists() and log.stat().st_size:  # SQLite would drop it
            raise _missing(outbox, "its log is there, and the file is not")
        return
    note = acknowledged(outbox)  # first: what comes after it is in the file as well
    if read_log(outbox, least=MOST_UNSYNCED).commits_beyond > MOST_UNSYNCED:
        raise _missing(outbox, "its log has a gap")
    with looking_at(outbox) as connection:
        if note and note.outbox == identity(connection) and (newest := newest_event(connection)) < note.seq:
            raise _missing(outbox, f"event {note.seq} was acknowledged, and the newest is {newest}")


@contextmanager
def looking_at(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing: another one that is the last removes the log when it is closed."""
    uri = f"{database.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        yield connection


def identity(connection: sqlite3.Connection) -> int:
    """The number that tells an outbox from those before and after it at the same place."""
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def newest_event(connection: sqlite3.Connection) -> int:
    """The number of events that were ever accepted, as the file has it."""
    return int(connection.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()[0])


def _exists(outbox: Path) -> bool:
    return outbox.exists() and outbox.stat().st_size > 0


def _missing(outbox: Path, reason: str) -> OutboxCorrupt:
    return OutboxCorrupt(f"outbox {outbox} lacks acknowledged events ({reason}); restart the prediction service")
