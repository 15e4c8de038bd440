"""The file of an outbox: how it is opened, and how a new one takes the place of one that failed to be written.

After a failed sync the kernel may forget what it could not write, and the next sync succeeds without it (see
docs/decisions/outbox.md). So a file whose writing failed once is never trusted again: all processes refuse until
what it holds stands in a new file.
"""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from prediction_service.errors import OutboxCorrupt, OutboxUnavailable
from prediction_service.outbox_types import SINKS
from sextant.contracts.files import sync_folder

PARTS = ("-wal", "-shm", "")
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
UNREADABLE = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
)
KEEP_TRACK_OF_PAGES = "PRAGMA auto_vacuum = INCREMENTAL"
"""So that a file can be made smaller; for one that is made now, since it must come before anything else."""


SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY,  -- the newest row is never deleted, so that its seq is the number ever accepted
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS cursors (
    sink TEXT PRIMARY KEY,
    position INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    dead_lettered INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letters (
    sink TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (sink, seq)
);
"""


@contextmanager
def opening(outbox: Path) -> Iterator[None]:
    """What SQLite and the system say of a file that is opened, as OutboxCorrupt or OutboxUnavailable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) and means_damage(error):
            reason = f"outbox {outbox} cannot be read ({error}); restart the prediction service"
            raise OutboxCorrupt(reason) from error
        raise OutboxUnavailable(f"outbox {outbox} cannot be opened: {error}") from error


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    return pages(connection)[0] * int(connection.execute("PRAGMA page_size").fetchone()[0])


def pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many pages of the file hold something, and how many nothing."""
    names = ("page_count", "freelist_count")
    total, free = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return total - free, free


def connect(outbox: Path) -> sqlite3.Connection:
    """A connection to the file, which is created where there is none; raises sqlite3.DatabaseError.

    Whoever calls holds the lock.
    """
    connection = sqlite3.connect(outbox, isolation_level=None, timeout=10, check_same_thread=False)
    try:
        is_new = not connection.execute("PRAGMA page_count").fetchone()[0]
        if is_new:  # otherwise it would write
            connection.execute(KEEP_TRACK_OF_PAGES)
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL: SQLite syncs at checkpoints; append() syncs the log itself, outside of the lock.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.executescript(SCHEMA)
        connection.executemany("INSERT OR IGNORE INTO cursors (sink) VALUES (?)", [(sink,) for sink in SINKS])
        if not connection.execute("PRAGMA application_id").fetchone()[0]:
            connection.execute(f"PRAGMA application_id = {secrets.randbelow(1 << 31) or 1}")
        if is_new:  # a log that is lost later is missed, since the file has the tables and its identity
            connection.execute("PRAGMA wal_checkpoint").fetchone()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def replace(outbox: Path) -> None:
    """Put all that is sound in a file into a new one in its place; raises OSError or sqlite3.Error.

    Whoever calls holds the lock, and may try again. A copy is opened, not the file: SQLite then checks the log's
    checksums and takes what was written without a gap, which holds everything that was ever acknowledged.
    """
    if is_being_replaced(outbox):  # by a process that was killed: what stands in its place is no longer whole
        finish_replacement(outbox)
        return
    copy = _beside(outbox, ".copy")
    try:
        for part in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(_beside(outbox, part), _beside(copy, part))
        replace_by(outbox, copy)
    finally:
        remove(copy)


def replace_by(outbox: Path, source: Path) -> None:
    """Put all that stands in another file into a new one in an outbox's place; as replace()."""
    building = _beside(outbox, ".building")
    try:
        building.unlink(missing_ok=True)
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            connection.execute(KEEP_TRACK_OF_PAGES)  # of one that an earlier version made, too
            connection.execute("VACUUM INTO ?", (str(building),))
        _sync(building)
        building.rename(_beside(outbox, ".new"))
        sync_folder(outbox.parent)
        finish_replacement(outbox)
    finally:
        building.unlink(missing_ok=True)


def make_shrinkable(outbox: Path) -> None:
    """Put what a file of an earlier version holds, which would never get smaller, into a new one; as replace()."""
    if not outbox.exists() or outbox.stat().st_size == 0:
        return
    with closing(sqlite3.connect(f"{outbox.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        shrinks = connection.execute("PRAGMA auto_vacuum").fetchone()[0]
    if not shrinks:
        replace_by(outbox, outbox)


def remove(database: Path) -> None:
    """Delete a database, if it is there, with all that belongs to it."""
    for part in PARTS:
        _beside(database, part).unlink(missing_ok=True)


def is_being_replaced(outbox: Path) -> bool:
    """Whether a new file waits to be taken in use, so that what stands in its place is not needed."""
    return _beside(outbox, ".new").exists()


def means_damage(error: sqlite3.Error) -> bool:
    """Whether a file cannot be read for what it holds; a full disk or a lock will pass."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in UNREADABLE or (code is not None and code & 0xFF in DAMAGED)


def finish_replacement(outbox: Path) -> None:
    """Take the new file in use where there is one; it is whole, and what stands in its place is not needed.

    Whoever calls holds the lock. A power cut in between changes nothing: the next process goes on here.
    """
    new = _beside(outbox, ".new")
    if new.exists():
        for part in PARTS:  # the log first: it must never meet a file that it is not of
            _beside(outbox, part).unlink(missing_ok=True)
        sync_folder(outbox.parent)
        new.rename(outbox)
        sync_folder(outbox.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
