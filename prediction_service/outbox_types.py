"""What goes into the outbox, what comes out of it, and how its events are accounted for."""

from dataclasses import dataclass
from typing import Literal

SINKS = ("mongodb", "monitoring")
EventKind = Literal["prediction", "target"]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be accepted; `body` is its JSON."""

    kind: EventKind
    body: bytes


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event in the outbox; `seq` numbers all events ever accepted, from 1."""

    seq: int
    at: float
    kind: EventKind
    body: bytes


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """An event that a sink will never take, and why."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class SinkCounts:
    """Where the accepted events of one sink are; `conserved` must hold at any time."""

    accepted: int
    delivered: int
    queued: int
    dead_lettered: int
    skipped: int
    oldest_at: float | None

    @property
    def conserved(self) -> bool:
        """Whether no event is unaccounted for or counted twice."""
        return self.accepted == self.delivered + self.queued + self.dead_lettered + self.skipped
