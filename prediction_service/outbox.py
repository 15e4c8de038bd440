"""The durable queue between a 200 and the sinks: an SQLite file, synced to disk before anyone is answered."""

import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import structlog

from prediction_service.cursors import Cursors
from prediction_service.dead_letters import DeadLetter, DeadLetters
from prediction_service.errors import OutboxFull, OutboxUnavailable
from prediction_service.outbox_file import SharedLock, connect, finish_replacement, opening, replace, used_bytes
from prediction_service.outbox_types import SINKS, NewEvent, QueuedEvent, RefusedEvent, SinkCounts
from sextant.contracts.files import sync_data, sync_folder

REPLACE_SECONDS = 1.0  # between attempts to make a new file
CHECKPOINT_BYTES = 4 << 20  # about as many as SQLite's own default
TRANSACTION_BYTES = 12 << 10  # three pages: what a transaction of one small record takes in the log
log = structlog.get_logger(__name__)


class Outbox:
    """One connection to the outbox file; every process opens its own, after it was forked."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Open the file, and create it where there is none.

        Waits for as long as another process holds it. Raises OutboxCorrupt when it is not an outbox, and
        OutboxUnavailable when it cannot be opened now.
        """
        self.path = path
        self._file = str(path)  # to ask for often
        self._max_bytes = max_bytes
        self._unmeasured_bytes = max_bytes
        self._next_replacement_at = 0.0
        self._opened = 0  # so many files, one after the other
        self._log_bytes = 0
        self._committed = self._synced = 0  # transactions
        self._guard = threading.Lock()
        self._syncing = threading.Lock()
        with opening(self.path), ExitStack() as opened:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = SharedLock(path)
            opened.callback(self._lock.close)
            with self._lock.held_at_last():
                finish_replacement(path)
                self._open()
            opened.pop_all()
        self._queued_from = self._inode

    def _open(self) -> None:
        with opening(self.path), ExitStack() as opened:
            connection = connect(self.path)
            opened.callback(connection.close)
            # While this connection is open the log is never deleted, so its descriptor stays the right one.
            log_fd = os.open(self.path.with_name(self.path.name + "-wal"), os.O_RDWR)
            opened.callback(os.close, log_fd)
            sync_folder(self.path.parent)
            self._inode = os.stat(self.path).st_ino
            opened.pop_all()
        self._connection, self._log_fd = connection, log_fd
        self._opened += 1
        self._cursors, self._dead_letters = Cursors(connection), DeadLetters(connection, self.overflow)

    def close(self) -> None:
        """Close the file."""
        with suppress(OutboxFull, OutboxUnavailable):  # SQLite would do this too, and hide that it failed
            with self._lock, self._guard:
                if not self.replaced and not self._lock.writing_failed:
                    self._checkpoint()
        self._connection.close()
        os.close(self._log_fd)
        self._lock.close()

    @property
    def replaced(self) -> bool:
        """Whether the file was set aside and another one stands in its place."""
        try:
            return os.stat(self._file).st_ino != self._inode
        except OSError:
            return True

    def append(self, events: Sequence[NewEvent]) -> None:
        """Accept all events or none; when it returns, they are on disk. Raises OutboxFull, OutboxUnavailable."""
        now = time.time()
        rows = [(now, event.kind, event.body) for event in events]
        size = sum(len(event.body) for event in events)
        with self._synced_transaction(size):
            self._unmeasured_bytes += size
            if self._unmeasured_bytes >= self._max_bytes // 1_000:  # the limit may be passed by a thousandth
                self._refuse_when_full()
            self._connection.executemany("INSERT INTO events (at, kind, body) VALUES (?, ?, ?)", rows)

    @contextmanager
    def _synced_transaction(self, size: int = 0) -> Iterator[None]:
        """A transaction of about `size` bytes that is on disk when the block ends; raises OutboxUnavailable.

        The log is forced to disk outside of the lock: while this thread waits for the disk, others commit.
        """
        with self._transaction(size):
            yield
            opened = self._opened
        self._sync(opened, self._committed)
        if self._opened != opened or self.replaced:  # perhaps without this change
            raise OutboxUnavailable("the outbox was replaced")

    def _sync(self, opened: int, committed: int) -> None:
        """Sync so many transactions, one thread at a time: the kernel tells a process only once that it failed.

        Who waited need not sync again if the last sync began after its own change.
        """
        with self._syncing:
            if self._opened != opened:  # by another thread, whose file may lack this change
                raise OutboxUnavailable("the outbox was replaced")
            if self._lock.writing_failed:
                raise OutboxUnavailable("the outbox failed to be written")
            if self._synced >= committed:
                return
            all_so_far = self._committed
            try:
                sync_data(self._log_fd)
            except OSError as error:
                self._lock.writing_failed = True
                raise OutboxUnavailable(f"the outbox cannot be synced to disk: {error}") from error
            self._synced = all_so_far

    def _refuse_when_full(self) -> None:
        used = used_bytes(self._connection)
        # Dead letters do not count; their bytes are looked at where it matters.
        if used >= self._max_bytes and used - self._dead_letters.bytes_used() >= self._max_bytes:
            self._unmeasured_bytes = self._max_bytes  # so that the next append looks again
            raise OutboxFull(f"the outbox has reached its limit of {self._max_bytes} bytes")
        self._unmeasured_bytes = 0

    def queued(self, sink: str, limit: int, max_bytes: int = 1 << 62) -> list[QueuedEvent]:
        """The next events for a sink, in the order of their acceptance, up to the one that reaches `max_bytes`."""
        self._queued_from = self._inode
        found: list[QueuedEvent] = []
        with closing(self._cursors.ahead(sink, limit)) as events:
            for event in events:
                found.append(event)
                if (max_bytes := max_bytes - len(event.body)) <= 0:
                    break
        return found

    def settle(self, sink: str, events: Sequence[QueuedEvent], refused: Sequence[RefusedEvent]) -> None:
        """Move a sink's cursor past these events: delivered, but for the refused, which become dead letters.

        Raises OutboxUnavailable when they were queued in a file that was replaced since, which numbers anew.
        """
        reasons = {refusal.seq: refusal.reason for refusal in refused}
        dead = [DeadLetter(sink, event, reasons[event.seq]) for event in events if event.seq in reasons]
        with self._synced_transaction(sum(len(event.body) for event in events)):
            if self._queued_from != self._inode:
                raise OutboxUnavailable("the outbox was replaced")
            self._dead_letters.add(dead)
            delivered = len(events) - len(dead)
            self._cursors.move(sink, events[-1].seq, delivered=delivered, dead_lettered=len(dead))

    def lag(self, sink: str) -> int:
        """How many accepted events lie past a sink's cursor; cheap at any backlog."""
        return self._cursors.lag(sink)

    def skip_to_newest(self, sink: str, keep: int) -> int:
        """Leave a sink only its newest `keep` events; returns how many were skipped."""
        with self._transaction():
            return self._cursors.skip(sink, keep)

    def counts(self) -> dict[str, SinkCounts]:
        """The counts of every sink, from one consistent view of the file."""
        with self._guard:
            self._connection.execute("BEGIN")
            try:
                return {sink: self._cursors.counts(sink) for sink in SINKS}
            finally:
                self._connection.execute("COMMIT")

    def check_writable(self) -> None:
        """Raise OutboxFull or OutboxUnavailable when append() would: it writes, too."""
        with self._synced_transaction():
            self._refuse_when_full()
            self._connection.execute(
                f"PRAGMA user_version = {time.monotonic_ns() % (1 << 31)}"
            )  # any change will do

    def bytes_used(self) -> int:
        """Bytes of the file that hold events and dead letters."""
        with self._guard:
            return used_bytes(self._connection)

    @property
    def overflow(self) -> Path:
        """The file of the dead letters for which the outbox has no room."""
        return self.path.with_name(f"{self.path.stem}.dead-letters.jsonl")

    def dead_letters(self, sink: str | None = None) -> Iterator[DeadLetter]:
        """Dead letters of one sink or of all, oldest first."""
        return self._dead_letters.read(sink)

    def dead_letter_bytes(self) -> int:
        """Bytes of the file that hold dead letters; they leave the events their limit."""
        with self._guard:
            return self._dead_letters.bytes_used()

    def redeliver(self, letters: Collection[DeadLetter]) -> None:
        """Queue dead letters again for every sink; raises OutboxFull, OutboxUnavailable."""
        with self._synced_transaction():
            self._refuse_when_full()
            self._dead_letters.queue_again(letters)

    def forget(self, letters: Collection[DeadLetter]) -> None:
        """Delete dead letters."""
        with self._synced_transaction():
            self._dead_letters.remove(letters)

    @contextmanager
    def _transaction(self, size: int = 0) -> Iterator[None]:
        with self._lock, self._guard:
            self._use_sound_file()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
                self._committed += 1
                self._log_bytes += size + TRANSACTION_BYTES
                if self._log_bytes >= CHECKPOINT_BYTES:
                    self._checkpoint()
            except (sqlite3.Error, OSError) as error:
                self._roll_back()
                raise self._translated(error) from error
            except BaseException:
                self._roll_back()
                raise

    def _checkpoint(self) -> None:
        """Move the log into the file. SQLite would do it by itself, hide that it failed, and try again.

        After a failure a later success proves nothing (ext4 may have written what it does not find again), and
        then the log would be overwritten. No room is no failure: nothing was written.
        """
        self._log_bytes = 0
        try:
            self._connection.execute("PRAGMA wal_checkpoint").fetchone()
        except sqlite3.Error as error:
            translated = self._translated(error)
            if not isinstance(translated, OutboxFull):
                raise translated from error

    def _use_sound_file(self) -> None:
        """Open the file that is in use; make a new one if writing to it failed, or raise OutboxUnavailable."""
        if self._lock.writing_failed:
            if time.monotonic() < self._next_replacement_at:
                raise OutboxUnavailable("the outbox failed to be written, and no new file could be made yet")
            try:
                replace(self.path)
            except (OSError, sqlite3.Error) as error:
                self._next_replacement_at = time.monotonic() + REPLACE_SECONDS
                raise OutboxUnavailable(
                    f"the outbox failed to be written, and no new file can be made: {error}"
                ) from error
            self._lock.writing_failed = False
            log.warning("the outbox failed to be written and was replaced by a new file", outbox=str(self.path))
        if self.replaced:
            with self._syncing:  # no thread syncs the log that is closed here
                connection, log_fd = self._connection, self._log_fd
                self._open()
                connection.close()
                os.close(log_fd)

    def _translated(self, error: Exception) -> OutboxFull | OutboxUnavailable:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL:
            return OutboxFull("the disk that holds the outbox is full")
        if code is not None and code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT):
            self._lock.writing_failed = True
        return OutboxUnavailable(f"the outbox cannot be written: {error}")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


if __name__ == "__main__":
    from prediction_service.outbox_command import main

    raise SystemExit(main())
