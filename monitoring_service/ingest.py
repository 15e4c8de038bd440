"""Parses POST /events, each event alone, so that a malformed one is rejected and the others are accepted."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sextant.contracts.errors import Rejected
from sextant.contracts.events import Prediction, Target

LONGEST_ID = 200
MAX_EVENTS = 100_000
Event = TypeVar("Event", Prediction, Target)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that cannot be taken, and why, in words for whoever sent it."""

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


def parse_batch(body: Any, models: Collection[str]) -> Batch:
    """Events of known models in a decoded body; raises WrongShape when it is no batch at all."""
    if not isinstance(body, dict):
        raise WrongShape('send an object: {"predictions": [...], "targets": [...]}')
    batch = Batch()
    parsers: dict[str, Callable[[Any], None]] = {
        "predictions": lambda item: _take(item, _prediction, batch.predictions, batch.rejected, models),
        "targets": lambda item: _take(item, _target, batch.targets, batch.rejected, models),
    }
    if unknown := body.keys() - parsers.keys():
        raise WrongShape(f"unknown keys: {', '.join(sorted(map(str, unknown)))[:200]}")
    for key, take in parsers.items():
        for item in _items(body, key):
            take(item)
    return batch


def _items(body: Mapping[str, Any], key: str) -> list[Any]:
    items = body.get(key, [])
    if not isinstance(items, list):
        raise WrongShape(f"{key} is not a list")
    if len(items) > MAX_EVENTS:
        raise WrongShape(f"{key} holds {len(items):,} events, more than {MAX_EVENTS:,}")
    return items


def _take(
    item: Any,
    parse: Callable[[Mapping[str, Any]], Event],
    taken: list[Event],
    rejected: list[Rejection],
    models: Collection[str],
) -> None:
    try:
        event = _checked(item, parse)
        if event.model not in models:
            raise ValueError(f"unknown model {event.model[:LONGEST_ID]!r}")
        taken.append(event)
    except KeyError as error:
        rejected.append(Rejection(_id_of(item), f"{error.args[0]} is missing"))
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        rejected.append(Rejection(_id_of(item), str(error)[:300]))


def _checked(item: Any, parse: Callable[[Mapping[str, Any]], Event]) -> Event:
    if not isinstance(item, dict):
        raise ValueError("an event is an object")
    for name in ("prediction_id", "model"):
        if not isinstance(item[name], str) or not 0 < len(item[name]) <= LONGEST_ID:
            raise ValueError(f"{name} is not a text of 1 to {LONGEST_ID} characters")
    return parse(item)


def _prediction(item: Mapping[str, Any]) -> Prediction:
    if not isinstance(item["features"], dict):
        raise ValueError("features is not an object")
    if not isinstance(item["model_version"], str):
        raise ValueError("model_version is not a text")
    if not isinstance(item["created_at"], str):
        raise ValueError("created_at is not an ISO 8601 text")
    _check_outcome("prediction", item["prediction"])
    _check_probabilities(item.get("probabilities"))
    return Prediction.from_dict(item)


def _target(item: Mapping[str, Any]) -> Target:
    if not isinstance(item["received_at"], str):
        raise ValueError("received_at is not an ISO 8601 text")
    _check_outcome("target", item["target"])
    return Target.from_dict(item)


def _check_outcome(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name} is neither a number nor a text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is not finite")


def _check_probabilities(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict) or not all(isinstance(share, int | float) for share in value.values()):
        raise ValueError("probabilities is not an object of numbers")


def _id_of(item: Any) -> str | None:
    identifier = item.get("prediction_id") if isinstance(item, dict) else None
    return identifier[:LONGEST_ID] if isinstance(identifier, str) else None
