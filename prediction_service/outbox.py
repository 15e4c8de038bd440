"""The durable queue between a 200 and the sinks: an SQLite file, synced to disk before anyone is answered."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from prediction_service.cursors import Cursors
from prediction_service.dead_letters import DeadLetter, DeadLetters
from prediction_service.errors import OutboxFull, OutboxUnavailable
from prediction_service.outbox_connection import OutboxConnection
from prediction_service.outbox_file import pages, used_bytes
from prediction_service.outbox_types import SINKS, NewEvent, QueuedEvent, RefusedEvent, SinkCounts

INSERT = "INSERT INTO events (at, kind, body) VALUES (?, ?, ?)"
SPARE_PAGES = 4 << 10
"""Of 4 KiB: so much is kept for the next events."""

SHRINK_SECONDS = 0.005
SHRINK_BYTES = 2 << 20  # about what is written to the log in that time


class Outbox:
    """What is accepted, queued, delivered and refused; every process opens the file anew, after it was forked."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Open the file, and create it where there is none; raises OutboxCorrupt, OutboxUnavailable."""
        self.path = path
        self._max_bytes = max_bytes
        self._unmeasured_bytes = max_bytes
        self._file = OutboxConnection(path)
        self._cursors, self._dead_letters = Cursors(self._file), DeadLetters(self._file, self.overflow)
        self._queued_from = self._file.inode

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def replaced(self) -> bool:
        """Whether the file was set aside and another one stands in its place."""
        return self._file.replaced

    def append(self, events: Sequence[NewEvent]) -> None:
        """Accept all events or none; when it returns, they are on disk. Raises OutboxFull, OutboxUnavailable."""
        now = time.time()
        rows = [(now, event.kind, event.body) for event in events]
        size = sum(len(event.body) for event in events)
        newest = 0
        with self._file.synced_transaction(size):
            self._unmeasured_bytes += size
            if self._unmeasured_bytes >= self._max_bytes // 1_000:  # the limit may be passed by a thousandth
                self._refuse_when_full()
            for row in rows:
                newest = self._file.connection.execute(INSERT, row).lastrowid or 0
        self._file.note_acknowledged(newest)

    def _refuse_when_full(self) -> None:
        used = used_bytes(self._file.connection)
        # Dead letters do not count; their bytes are looked at where it matters.
        if used >= self._max_bytes and used - self._dead_letters.bytes_used() >= self._max_bytes:
            self._unmeasured_bytes = self._max_bytes  # so that the next append looks again
            raise OutboxFull(f"the outbox has reached its limit of {self._max_bytes} bytes")
        self._unmeasured_bytes = 0

    def queued(self, sink: str, limit: int, max_bytes: int = 1 << 62) -> list[QueuedEvent]:
        """The next events for a sink, in the order of their acceptance, up to the one that reaches `max_bytes`."""
        self._queued_from = self._file.inode
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
        with self._file.synced_transaction(sum(len(event.body) for event in events)):
            if self._queued_from != self._file.inode:
                raise OutboxUnavailable("the outbox was replaced")
            self._dead_letters.add(dead)
            delivered = len(events) - len(dead)
            self._cursors.move(sink, events[-1].seq, delivered=delivered, dead_lettered=len(dead))

    def shrink(self) -> None:
        """Give back a little of what the file does not need; for who has time, since others wait meanwhile.

        SQLite moves the file's last pages to where it is empty, and cuts it at the next checkpoint.
        """
        if not self._is_mostly_empty():
            return
        with suppress(OutboxFull), self._file.synced_transaction(SHRINK_BYTES):
            until = time.monotonic() + SHRINK_SECONDS
            while time.monotonic() < until and self._is_mostly_empty():
                self._file.connection.execute("PRAGMA incremental_vacuum(1)")

    def _is_mostly_empty(self) -> bool:
        used, free = pages(self._file.connection)
        return free > max(used, SPARE_PAGES)

    def lag(self, sink: str) -> int:
        """How many accepted events lie past a sink's cursor; cheap at any backlog."""
        return self._cursors.lag(sink)

    def skip_to_newest(self, sink: str, keep: int) -> int:
        """Leave a sink only its newest `keep` events; returns how many were skipped."""
        with self._file.transaction():
            return self._cursors.skip(sink, keep)

    def counts(self) -> dict[str, SinkCounts]:
        """The counts of every sink, from one consistent view of the file."""
        with self._file.reading():
            return {sink: self._cursors.counts(sink) for sink in SINKS}

    def check_writable(self) -> None:
        """Raise OutboxFull or OutboxUnavailable when append() would: it writes, too."""
        with self._file.synced_transaction():
            self._refuse_when_full()
            any_change = f"PRAGMA user_version = {time.monotonic_ns() % (1 << 31)}"
            self._file.connection.execute(any_change)

    def bytes_used(self) -> int:
        """Bytes of the file that hold events and dead letters."""
        with self._file.reading():
            return used_bytes(self._file.connection)

    @property
    def overflow(self) -> Path:
        """The file of the dead letters for which the outbox has no room."""
        return self.path.with_name(f"{self.path.stem}.dead-letters.jsonl")

    def dead_letters(self, sink: str | None = None) -> Iterator[DeadLetter]:
        """Dead letters of one sink or of all, oldest first."""
        return self._dead_letters.read(sink)

    def dead_letter_bytes(self) -> int:
        """Bytes of the file that hold dead letters; they leave the events their limit."""
        with self._file.reading():
            return self._dead_letters.bytes_used()

    def redeliver(self, letters: Collection[DeadLetter]) -> None:
        """Queue dead letters again for every sink; raises OutboxFull, OutboxUnavailable."""
        with self._file.synced_transaction():
            self._refuse_when_full()
            self._dead_letters.queue_again(letters)

    def forget(self, letters: Collection[DeadLetter]) -> None:
        """Delete dead letters."""
        with self._file.synced_transaction():
            self._dead_letters.remove(letters)


if __name__ == "__main__":
    from prediction_service.outbox_command import main

    raise SystemExit(main())
