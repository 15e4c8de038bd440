"""What was promised: every acknowledged record and target, kept in memory outside of all that is tested."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["prediction", "target"]


@dataclass(frozen=True, slots=True)
class Key:
    """Under which a prediction or a target is stored."""

    kind: Kind
    model: str
    prediction_id: str


@dataclass(frozen=True, slots=True)
class Content:
    """What must be stored: of a prediction features, context and answer, of a target its value."""

    value: float | str
    features: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Obligations:
    """All that clients were told, at one moment."""

    acknowledged: Mapping[Key, Content]
    attempted: frozenset[Key]
    """Sent, perhaps without an answer: may be stored, once and as it was sent."""
    conflicting: frozenset[Key]
    """Acknowledged a second time with other content, which must be in the dead letters."""
    perhaps_conflicting: frozenset[Key]
    """Sent a second time with other content, perhaps without an answer: may be in the dead letters."""
    refused: frozenset[Key]
    """Refused for their content: must be stored nowhere."""


class Ledger:
    """Filled by all clients at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acknowledged: dict[Key, Content] = {}
        self._attempted: set[Key] = set()
        self._conflicting: set[Key] = set()
        self._perhaps_conflicting: set[Key] = set()
        self._refused: set[Key] = set()
        self.counts: Counter[str] = Counter()
        """Requests, retries and whatever else is counted."""
        self.unexpected: list[str] = []
        """Answers that no client should ever get."""

    def attempt(self, *keys: Key) -> None:
        """These are about to be sent."""
        with self._lock:
            self._attempted.update(keys)

    def acknowledge(self, promised: Mapping[Key, Content]) -> None:
        """The service has answered that it took these."""
        with self._lock:
            self._acknowledged.update(promised)

    def attempt_conflict(self, key: Key) -> None:
        """Other content is about to be sent under an id that was taken before."""
        with self._lock:
            self._perhaps_conflicting.add(key)

    def acknowledge_conflict(self, key: Key) -> None:
        """The service took other content under an id that it had taken before."""
        with self._lock:
            self._conflicting.add(key)

    def refuse(self, *keys: Key) -> None:
        """The service refused these for their content."""
        with self._lock:
            self._refused.update(keys)

    def count(self, what: str, times: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[what] += times

    def complain(self, problem: str) -> None:
        """Note an answer that no client should ever get."""
        with self._lock:
            self.unexpected.append(problem)

    def __len__(self) -> int:
        return len(self._acknowledged)

    def obligations(self) -> Obligations:
        """All of it, as a value."""
        with self._lock:
            return Obligations(
                acknowledged=dict(self._acknowledged),
                attempted=frozenset(self._attempted),
                conflicting=frozenset(self._conflicting),
                perhaps_conflicting=frozenset(self._perhaps_conflicting),
                refused=frozenset(self._refused),
            )
