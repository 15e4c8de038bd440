"""The lock that the processes of an outbox share, and what they note in it for others and the next start."""

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import structlog

from prediction_service.errors import OutboxUnavailable
from prediction_service.kernel_queue import KernelQueue

LOCK_SECONDS = 2.0
SOUND, FAILED = b".", b"!"
ACKNOWLEDGED = struct.Struct("<qq")
ACKNOWLEDGED_AT = 8
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The number of an event that is on disk in the outbox of that identity; later ones may be, too."""

    outbox: int
    seq: int


class SharedLock:
    """One writer at a time, among all threads and processes of an outbox, and the note that writing to it failed.

    Processes queue in the kernel, which is fair and twice as fast as asking again and again. Such a wait cannot be
    given up, so a thread of its own does the waiting, and whoever wants the lock waits for that thread.
    """

    def __init__(self, outbox: Path) -> None:
        self._path = _lock_of(outbox)
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        if os.fstat(self._descriptor).st_size == 0:
            os.pwrite(self._descriptor, SOUND, 0)  # the note has its place, also on a disk that is full by then
        self._turn = threading.Lock()
        self._queue = KernelQueue(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        self._queue.close()
        os.close(self._descriptor)

    def acquire(self, patience: int = 1) -> None:
        """Take the lock; raises OutboxUnavailable when others keep it for `patience` times LOCK_SECONDS."""
        seconds = patience * LOCK_SECONDS
        if not self._turn.acquire(timeout=seconds):
            raise OutboxUnavailable(f"the outbox has been busy for {seconds:g} s")
        try:
            self._queue.take(seconds)
        except BaseException:
            self._turn.release()
            raise

    def release(self) -> None:
        """Let the next one have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._turn.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()

    @contextmanager
    def held_at_last(self) -> Iterator[None]:
        """Hold the lock, however long another process keeps it."""
        for attempt in count(1):
            try:
                self.acquire(patience=attempt)
            except OutboxUnavailable as error:
                log.warning("waiting for the outbox", reason=str(error))
                continue
            try:
                yield
            finally:
                self.release()
            return

    def note_acknowledged(self, outbox: int, seq: int) -> None:
        """Note for the next start up to which event an outbox holds all; unsynced, so it may be behind."""
        try:  # noqa: SIM105 - suppress() takes half as long as the write
            os.pwrite(self._descriptor, ACKNOWLEDGED.pack(outbox, seq), ACKNOWLEDGED_AT)
        except OSError:
            pass

    @property
    def writing_failed(self) -> bool:
        """Whether any process could not write or sync the outbox that is in use."""
        return os.pread(self._descriptor, 1, 0) == FAILED

    @writing_failed.setter
    def writing_failed(self, value: bool) -> None:
        os.pwrite(self._descriptor, FAILED if value else SOUND, 0)


def acknowledged(outbox: Path) -> Acknowledged | None:
    """What was noted for the last outbox at this place."""
    try:
        with _lock_of(outbox).open("rb") as file:
            note = file.read()[ACKNOWLEDGED_AT:]
    except FileNotFoundError:
        return None
    return Acknowledged(*ACKNOWLEDGED.unpack(note)) if len(note) == ACKNOWLEDGED.size else None


def _lock_of(outbox: Path) -> Path:
    return outbox.with_name(outbox.name + ".lock")
