"""Which events an evaluation can use, wherever they come from: POST /events or MongoDB."""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sextant.contracts.events import Prediction, Target

LONGEST_ID = 200
LONGEST_TEXT = 1_000
DEEPEST_CONTEXT = 20
LARGEST_NUMBER = 3.5e38
"""Beyond float32, which is all that models see; its square is still a float64."""
INT64 = range(-(2**63), 2**63)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
ROUNDING = 1e-3


def why_unusable(event: Prediction | Target) -> str | None:
    """Why no evaluation may see this event, in words for whoever sent it; None: it may."""
    checks = _prediction_checks(event) if isinstance(event, Prediction) else _target_checks(event)
    return next((reason for holds, reason in checks if not holds), None)


def _common_checks(event: Prediction | Target) -> Iterator[tuple[bool, str]]:
    for name in ("prediction_id", "model"):
        fits = _is_text(getattr(event, name), LONGEST_ID)
        yield fits, f"{name} is not a text of 1 to {LONGEST_ID} characters"


def _prediction_checks(event: Prediction) -> Iterator[tuple[bool, str]]:
    yield from _common_checks(event)
    yield _is_text(event.model_version, LONGEST_ID), "model_version is not a text"
    yield event.created_at >= EARLIEST, "created_at is before 1970"
    yield _is_object(event.features), "features is not an object"
    for name, value in event.features.items():
        yield value is None or _is_value(value), f"feature {name[:LONGEST_ID]!r} is neither a number nor a text"
    yield _is_value(event.prediction), "prediction is neither a number nor a text"
    yield _is_object(event.context), "context is not an object"
    yield _is_plain(event.context.values(), DEEPEST_CONTEXT), "context holds what is too deep or too large"
    shares = event.probabilities
    yield (
        shares is None or (_is_object(shares) and all(map(_is_share, shares.values()))),
        ("probabilities is not an object of numbers from 0 to 1"),
    )
    taken = event.latency_ms
    yield taken is None or (_is_number(taken) and taken >= 0), "latency_ms is not a number from 0"


def _target_checks(event: Target) -> Iterator[tuple[bool, str]]:
    yield from _common_checks(event)
    yield event.received_at >= EARLIEST, "received_at is before 1970"
    yield _is_value(event.target), "target is neither a number nor a text"


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= LARGEST_NUMBER and (isinstance(value, float) or value in INT64)


def _is_value(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, str) and len(value) <= LONGEST_TEXT)


def _is_share(value: Any) -> bool:
    return _is_number(value) and -ROUNDING <= value <= 1 + ROUNDING


def _is_plain(values: Iterable[Any], depth: int) -> bool:
    """Whether these nest no deeper, and hold no integer that no store and no JSON holds."""
    for value in values:
        if isinstance(value, int) and value not in INT64:
            return False
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        if inner and (depth == 0 or not _is_plain(inner, depth - 1)):
            return False
    return True
