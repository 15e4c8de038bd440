"""The durable queue between a 200 and the sinks: an SQLite file, synced to disk before anyone is answered."""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prediction_service.errors import OutboxCorrupt, OutboxFull, OutboxUnavailable
from prediction_service.outbox_types import SINKS, NewEvent, QueuedEvent, RefusedEvent, SinkCounts

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


class Outbox:
    """One connection to the outbox file; every process opens its own, after it was forked."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Open the file, and create it where there is none; raises OutboxCorrupt when it is not an outbox."""
        self.path = path
        self._max_bytes = max_bytes
        self._unmeasured_bytes = max_bytes
        self._guard = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o644)
        try:
            self._connection = self._connect()
        except sqlite3.DatabaseError as error:
            os.close(self._lock_fd)
            raise OutboxCorrupt(
                f"outbox {path} cannot be read ({error}); restart the prediction service"
            ) from error
        # While this connection is open the log is never deleted, so its descriptor stays the right one.
        self._log_fd = os.open(path.with_name(path.name + "-wal"), os.O_RDWR)
        _sync_folder(path.parent)
        self._inode = path.stat().st_ino
        self._page_size: int = self._connection.execute("PRAGMA page_size").fetchone()[0]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=10, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # NORMAL: SQLite syncs at checkpoints; append() syncs the log itself, outside of the lock.
            connection.execute("PRAGMA synchronous = NORMAL")
            with self._exclusive():
                connection.executescript(SCHEMA)
                connection.executemany(
                    "INSERT OR IGNORE INTO cursors (sink) VALUES (?)", [(sink,) for sink in SINKS]
                )
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        os.close(self._log_fd)
        os.close(self._lock_fd)

    @property
    def replaced(self) -> bool:
        """Whether the file was set aside and another one stands in its place."""
        try:
            return self.path.stat().st_ino != self._inode
        except OSError:
            return True

    def append(self, events: Sequence[NewEvent]) -> None:
        """Accept all events or none; when it returns, they are on disk. Raises OutboxFull, OutboxUnavailable."""
        now = time.time()
        rows = [(now, event.kind, event.body) for event in events]
        self._unmeasured_bytes += sum(len(event.body) for event in events)
        with self._transaction():
            if self._unmeasured_bytes >= self._max_bytes // 1_000:  # the limit may be passed by a thousandth
                self._refuse_when_full()
            self._connection.executemany("INSERT INTO events (at, kind, body) VALUES (?, ?, ?)", rows)
        try:
            # Outside of the lock: while this process waits for the disk, others commit.
            os.fdatasync(self._log_fd)
        except OSError as error:
            raise OutboxUnavailable(f"the outbox cannot be synced to disk: {error}") from error

    def _refuse_when_full(self) -> None:
        if self._used_bytes() >= self._max_bytes:
            self._unmeasured_bytes = self._max_bytes  # so that the next append looks again
            raise OutboxFull(f"the outbox has reached its limit of {self._max_bytes} bytes")
        self._unmeasured_bytes = 0

    def _used_bytes(self) -> int:
        pages: int = self._connection.execute("PRAGMA page_count").fetchone()[0]
        free: int = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
        return (pages - free) * self._page_size

    def queued(self, sink: str, limit: int) -> list[QueuedEvent]:
        """The next events for a sink, in the order of their acceptance."""
        rows = self._connection.execute(
            "SELECT seq, at, kind, body FROM events "
            "WHERE seq > (SELECT position FROM cursors WHERE sink = ?) ORDER BY seq LIMIT ?",
            (sink, limit),
        )
        return [QueuedEvent(*row) for row in rows]

    def settle(self, sink: str, events: Sequence[QueuedEvent], refused: Sequence[RefusedEvent]) -> None:
        """Move a sink's cursor past these events: delivered, but for the refused, which become dead letters."""
        reasons = {refusal.seq: refusal.reason for refusal in refused}
        dead = [(sink, e.seq, e.at, e.kind, e.body, reasons[e.seq]) for e in events if e.seq in reasons]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?)", dead)
            self._connection.execute(
                "UPDATE cursors SET position = ?, delivered = delivered + ?, dead_lettered = dead_lettered + ? "
                "WHERE sink = ?",
                (events[-1].seq, len(events) - len(dead), len(dead), sink),
            )
            self._forget_settled()

    def lag(self, sink: str) -> int:
        """How many accepted events lie past a sink's cursor; cheap at any backlog."""
        row = self._connection.execute(
            "SELECT (SELECT COALESCE(MAX(seq), 0) FROM events) - position FROM cursors WHERE sink = ?", (sink,)
        ).fetchone()
        return int(row[0])

    def skip_to_newest(self, sink: str, keep: int) -> int:
        """Leave a sink only its newest `keep` events; returns how many were skipped."""
        with self._transaction():
            counts = self._counts(sink)
            skipped = max(0, counts.queued - keep)
            if skipped:
                self._connection.execute(
                    "UPDATE cursors SET skipped = skipped + ?, position = "
                    "(SELECT seq FROM events WHERE seq > position ORDER BY seq LIMIT 1 OFFSET ?) WHERE sink = ?",
                    (skipped, skipped - 1, sink),
                )
                self._forget_settled()
            return skipped

    def _forget_settled(self) -> None:
        self._connection.execute(
            "DELETE FROM events WHERE seq <= (SELECT MIN(position) FROM cursors) "
            "AND seq < (SELECT MAX(seq) FROM events)"
        )

    def counts(self) -> dict[str, SinkCounts]:
        """The counts of every sink, from one consistent view of the file."""
        with self._guard:
            self._connection.execute("BEGIN")
            try:
                return {sink: self._counts(sink) for sink in SINKS}
            finally:
                self._connection.execute("COMMIT")

    def _counts(self, sink: str) -> SinkCounts:
        row = self._connection.execute(
            "SELECT (SELECT COALESCE(MAX(seq), 0) FROM events), delivered, "
            "(SELECT COUNT(*) FROM events WHERE seq > position), dead_lettered, skipped, "
            "(SELECT at FROM events WHERE seq > position ORDER BY seq LIMIT 1) FROM cursors WHERE sink = ?",
            (sink,),
        ).fetchone()
        return SinkCounts(*row)

    def check_writable(self) -> None:
        """Raise OutboxFull or OutboxUnavailable when append() would."""
        with self._transaction():
            self._refuse_when_full()

    def bytes_used(self) -> int:
        """Bytes of the file that hold events and dead letters."""
        with self._guard:
            return self._used_bytes()

    def dead_letters(self, sink: str | None = None) -> Iterator[tuple[str, QueuedEvent, str]]:
        """Dead letters as (sink, event, reason), oldest first."""
        query = "SELECT sink, seq, at, kind, body, reason FROM dead_letters WHERE ? IN (sink, '*') ORDER BY seq"
        for name, seq, at, kind, body, reason in self._connection.execute(query, (sink or "*",)):
            yield name, QueuedEvent(seq, at, kind, body), reason

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        # Waiting in the kernel is fair; SQLite's own busy handler sleeps and can starve a writer for a second.
        with self._guard:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._exclusive():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise _translated(error) from error
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _sync_folder(folder: Path) -> None:
    """Make sure that new files are found in their folder after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translated(error: sqlite3.Error) -> OutboxFull | OutboxUnavailable:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return OutboxFull("the disk that holds the outbox is full")
    return OutboxUnavailable(f"the outbox cannot be written: {error}")
