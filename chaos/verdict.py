"""Compares what was promised with what is there; pure, so that the proof itself can be tested."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.ledger import Content, Key, Obligations

EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A document in MongoDB."""

    key: Key
    content: Content


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a sink refused for good."""

    sink: str
    key: Key
    reason: str


@dataclass(frozen=True, slots=True)
class SinkAccount:
    """What the outbox says of one sink when it has drained."""

    sink: str
    accepted: int
    delivered: int
    queued: int
    dead_lettered: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is found after the faults."""

    stored: Sequence[StoredEvent] = ()
    dead_letters: Sequence[DeadLetter] = ()
    accounts: Sequence[SinkAccount] = ()
    set_aside: Sequence[str] = ()
    """Outboxes that were renamed because they could not be read."""
    unexpected: Sequence[str] = ()
    fresh_prediction_problem: str | None = None
    live_window: Any = None
    rebuilt_window: Any = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, how many times it does not, and examples of that."""

    name: str
    violations: int = 0
    examples: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether there is no violation."""
        return not self.violations


def check_all(obligations: Obligations, evidence: Evidence) -> list[Check]:
    """Every check, in the order of the report."""
    return [
        *_check_events(obligations, evidence),
        _check("conservation: accepted = delivered + dead letters + skipped", _unbalanced(obligations, evidence)),
        _check("no outbox was unreadable", evidence.set_aside),
        _check("no answer but 2xx, a stated 4xx or 503", evidence.unexpected),
        _check("a fresh prediction passes end to end", filter(None, [evidence.fresh_prediction_problem])),
        _check("monitoring's window equals one rebuilt from MongoDB", _window_differences(evidence)),
    ]


def _check(name: str, violations: Iterable[str]) -> Check:
    found = list(violations)
    return Check(name, len(found), tuple(found[:EXAMPLES]))


def _check_events(obligations: Obligations, evidence: Evidence) -> list[Check]:
    promised = obligations.acknowledged
    stored = {event.key: event.content for event in evidence.stored}
    times = Counter(event.key for event in evidence.stored)
    dead = {letter.key: letter for letter in evidence.dead_letters if letter.sink == "mongodb"}
    lost = [_name(key) for key in promised if key not in stored and not (key in dead and dead[key].reason)]
    lost += [f"{_name(key)}, its second content" for key in obligations.conflicting if key not in dead]
    sound = [
        f"{_name(letter.key)}: {letter.sink}: {letter.reason}"
        for letter in evidence.dead_letters
        if letter.key not in obligations.perhaps_conflicting
    ]
    return [
        _check("lost", lost),
        _check("stored twice", (_name(key) for key, count in times.items() if count > 1)),
        _check("changed", _changed(promised, stored)),
        _check("stored, but never sent", (_name(key) for key in stored if key not in obligations.attempted)),
        _check("stored, but refused", (_name(key) for key in stored if key in obligations.refused)),
        _check("sound, but in the dead letters", sound),
    ]


def _changed(promised: Mapping[Key, Content], stored: Mapping[Key, Content]) -> Iterable[str]:
    for key, content in promised.items():
        if key in stored and stored[key] != content:
            yield f"{_name(key)}: promised {content}, stored {stored[key]}"[:500]


def _unbalanced(obligations: Obligations, evidence: Evidence) -> Iterable[str]:
    promised = len(obligations.acknowledged) + len(obligations.conflicting)
    if not evidence.accounts:
        yield "the relay does not answer"
    for account in evidence.accounts:
        settled = account.delivered + account.dead_lettered + account.skipped
        if account.queued or account.accepted != settled or account.accepted < promised:
            yield f"{account}, and {promised} were acknowledged"


def _window_differences(evidence: Evidence) -> Iterable[str]:
    live, rebuilt = evidence.live_window, evidence.rebuilt_window
    if not live or not rebuilt:
        yield "monitoring does not answer" if live is None or rebuilt is None else "there is no evaluation"
        return
    for name in sorted(live.keys() | rebuilt.keys()):
        if live.get(name) != rebuilt.get(name):
            yield f"{name}: live {live.get(name)!r}, rebuilt {rebuilt.get(name)!r}"[:500]


def _name(key: Key) -> str:
    return f"{key.kind} {key.model}/{key.prediction_id}"
