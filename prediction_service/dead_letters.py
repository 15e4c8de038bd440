"""Events that a sink will never take, kept in the outbox's file with the reason until a person has decided."""

import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from prediction_service.outbox_connection import OutboxConnection
from prediction_service.outbox_types import QueuedEvent
from sextant.contracts.files import sync_folder

MAX_BYTES = 256 << 20
"""Beyond this the oldest move to a file of their own, so that they never take the place of events."""

PART = 100
ROW_BYTES = 50  # of a row without body and reason


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event, the sink that refused it, and why."""

    sink: str
    event: QueuedEvent
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """As it is exported; a body that is no JSON is a text."""
        try:
            body = orjson.loads(self.event.body)
        except orjson.JSONDecodeError:
            body = self.event.body.decode(errors="replace")
        event = self.event
        about = {"sink": self.sink, "seq": event.seq, "at": event.at, "kind": event.kind, "reason": self.reason}
        return about | {"event": body}


class DeadLetters:
    """The dead letters of one file; who changes them holds a transaction of the outbox."""

    def __init__(self, file: OutboxConnection, overflow: Path) -> None:
        """Beyond MAX_BYTES the oldest move to the file `overflow`, a line of JSON each."""
        self._file = file
        self._overflow = overflow

    def read(self, sink: str | None = None, limit: int = -1) -> Iterator[DeadLetter]:
        """Those of one sink or of all, oldest first."""
        query = (
            "SELECT sink, seq, at, kind, body, reason FROM dead_letters WHERE ? IN (sink, '*') "
            "ORDER BY seq, sink LIMIT ?"
        )
        for name, seq, at, kind, body, reason in self._file.connection.execute(query, (sink or "*", limit)):
            yield DeadLetter(name, QueuedEvent(seq, at, kind, bytes(body)), reason)

    def bytes_used(self) -> int:
        """What they take up, about."""
        query = "SELECT COALESCE(SUM(LENGTH(body) + LENGTH(reason) + ?), 0) FROM dead_letters"
        return int(self._file.connection.execute(query, (ROW_BYTES,)).fetchone()[0])

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Keep them; the oldest of all make room."""
        self._file.connection.executemany(
            "INSERT OR REPLACE INTO dead_letters (sink, seq, at, kind, body, reason) VALUES (?, ?, ?, ?, ?, ?)",
            [(d.sink, d.event.seq, d.event.at, d.event.kind, d.event.body, d.reason) for d in letters],
        )
        while letters and self.bytes_used() > MAX_BYTES:
            oldest = list(self.read(limit=PART))
            append_lines(self._overflow, oldest)
            self.remove(oldest)

    def remove(self, letters: Collection[DeadLetter]) -> None:
        """Forget them."""
        keys = [(letter.sink, letter.event.seq) for letter in letters]
        self._file.connection.executemany("DELETE FROM dead_letters WHERE sink = ? AND seq = ?", keys)

    def queue_again(self, letters: Collection[DeadLetter]) -> None:
        """Make them events for every sink once more; those that had one know it by its id."""
        rows = [(time.time(), letter.event.kind, letter.event.body) for letter in letters]
        self._file.connection.executemany("INSERT INTO events (at, kind, body) VALUES (?, ?, ?)", rows)
        self.remove(letters)


def append_lines(path: Path, letters: Collection[DeadLetter]) -> None:
    """Add them to a file, a line of JSON each; they are on disk when it returns."""
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        for letter in letters:
            file.write(orjson.dumps(letter.to_dict(), option=orjson.OPT_APPEND_NEWLINE))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
