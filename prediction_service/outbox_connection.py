"""One process's connection to the outbox's file: transactions that are on disk when they end, or refused."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import structlog

from prediction_service.errors import OutboxFull, OutboxUnavailable
from prediction_service.outbox_check import identity, require_all_acknowledged
from prediction_service.outbox_file import connect, finish_replacement, make_shrinkable, opening, replace
from prediction_service.outbox_lock import SharedLock
from sextant.contracts.files import sync_data, sync_folder

REPLACE_SECONDS = 1.0  # between attempts to make a new file
CHECKPOINT_BYTES = 4 << 20  # about as many as SQLite's own default
TRANSACTION_BYTES = 12 << 10  # three pages: what a transaction of one small record takes in the log
log = structlog.get_logger(__name__)


class OutboxConnection:
    """Opens the file, and the one that replaces it; its threads share `connection` and write one at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, and create it where there is none.

        Waits for as long as another process holds it. Raises OutboxCorrupt when it is not an outbox, and
        OutboxUnavailable when it cannot be opened now.
        """
        self.path = path
        self._file = str(path)  # to ask for often
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
                require_all_acknowledged(path)
                with suppress(OSError, sqlite3.Error):  # then at another start
                    if not self._lock.writing_failed:
                        make_shrinkable(path)
                self._open()
            opened.pop_all()

    def _open(self) -> None:
        with opening(self.path), ExitStack() as opened:
            connection = connect(self.path)
            opened.callback(connection.close)
            # While this connection is open the log is never deleted, so its descriptor stays the right one.
            log_fd = os.open(self.path.with_name(self.path.name + "-wal"), os.O_RDWR)
            opened.callback(os.close, log_fd)
            sync_folder(self.path.parent)
            self.inode = os.stat(self.path).st_ino
            opened.pop_all()
        self.connection, self._log_fd, self._identity = connection, log_fd, identity(connection)
        self._opened += 1

    def note_acknowledged(self, seq: int) -> None:
        """Note, for the next start, that this event and all before it are on disk."""
        self._lock.note_acknowledged(self._identity, seq)

    def close(self) -> None:
        """Close the file."""
        with suppress(OutboxFull, OutboxUnavailable):  # SQLite would do this too, and hide that it failed
            with self._lock, self._guard:
                if not self.replaced and not self._lock.writing_failed:
                    self._checkpoint()
        self.connection.close()
        os.close(self._log_fd)
        self._lock.close()

    @property
    def replaced(self) -> bool:
        """Whether the file was set aside and another one stands in its place."""
        try:
            return os.stat(self._file).st_ino != self.inode
        except OSError:
            return True

    @contextmanager
    def synced_transaction(self, size: int = 0) -> Iterator[None]:
        """A transaction of about `size` bytes that is on disk when the block ends; raises OutboxUnavailable.

        The log is forced to disk outside of the lock: while this thread waits for the disk, others commit.
        """
        with self.transaction(size):
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

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A block in which all that is read is of one moment."""
        with self._guard:
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("COMMIT")

    @contextmanager
    def transaction(self, size: int = 0) -> Iterator[None]:
        """A transaction of about `size` bytes that a power cut may undo; raises OutboxFull, OutboxUnavailable."""
        with self._lock, self._guard:
            self._use_sound_file()
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
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
            self.connection.execute("PRAGMA wal_checkpoint").fetchone()
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
                connection, log_fd = self.connection, self._log_fd
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
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
