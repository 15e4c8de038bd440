"""Parses POST /events, each event alone, so that a malformed one is rejected and the others are accepted."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

import orjson

from monitoring_service.usable import LONGEST_ID, why_unusable
from sextant.contracts.errors import Rejected
from sextant.contracts.events import Prediction, Target

MAX_EVENTS = 100_000
TIMES = {Prediction: "created_at", Target: "received_at"}
REQUIRED = {
    kind: [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING] for kind in TIMES
}
Event = TypeVar("Event", Prediction, Target)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that cannot be taken, where it stands in the body, and why, in words for whoever sent it."""

    pointer: str
    prediction_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The usable events of one request, and the rejected ones."""

    predictions: list[Prediction] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


class WrongShape(Rejected):
    """The body as a whole is not a batch of events."""


def parse_batch(body: Any, models: Collection[str], max_bytes: int) -> Batch:
    """Usable events of known models in a decoded body; raises WrongShape when it is no batch at all."""
    if not isinstance(body, dict):
        raise WrongShape('send an object: {"predictions": [...], "targets": [...]}')
    batch = Batch()
    if unknown := body.keys() - {"predictions", "targets"}:
        raise WrongShape(f"unknown keys: {', '.join(sorted(map(str, unknown)))[:200]}")

    def parse(kind: type[Event], item: Any) -> Event:
        return _parse(kind, item, models, max_bytes)

    _take(body, "predictions", lambda item: parse(Prediction, item), batch.predictions, batch.rejected)
    _take(body, "targets", lambda item: parse(Target, item), batch.targets, batch.rejected)
    return batch


def _items(body: Mapping[str, Any], key: str) -> list[Any]:
    items = body.get(key, [])
    if not isinstance(items, list):
        raise WrongShape(f"{key} is not a list")
    if len(items) > MAX_EVENTS:
        raise WrongShape(f"{key} holds {len(items):,} events, more than {MAX_EVENTS:,}")
    return items


def _take(
    body: Mapping[str, Any],
    key: str,
    parse: Callable[[Any], Event],
    taken: list[Event],
    rejected: list[Rejection],
) -> None:
    for position, item in enumerate(_items(body, key)):
        try:
            taken.append(parse(item))
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            rejected.append(Rejection(f"/{key}/{position}", _id_of(item), str(error)[:300]))


def _parse(kind: type[Event], item: Any, models: Collection[str], max_bytes: int) -> Event:
    if not isinstance(item, dict):
        raise ValueError("an event is an object")
    if (size := len(orjson.dumps(item))) > max_bytes:
        raise ValueError(f"an event of {size:,} bytes, more than the limit of {max_bytes:,} (MAX_RECORD_BYTES)")
    if missing := [name for name in REQUIRED[kind] if name not in item]:
        raise ValueError(f"{', '.join(missing)} missing")
    if not isinstance(item[TIMES[kind]], str):
        raise ValueError(f"{TIMES[kind]} is not an ISO 8601 text")
    event = kind.from_dict(item)
    if reason := why_unusable(event):
        raise ValueError(reason)
    if event.model not in models:
        raise ValueError(f"unknown model {event.model!r}")
    return event


def _id_of(item: Any) -> str | None:
    identifier = item.get("prediction_id") if isinstance(item, dict) else None
    return identifier[:LONGEST_ID] if isinstance(identifier, str) else None
