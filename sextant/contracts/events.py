"""The two things that happen to a model in production: it predicts, and later the truth arrives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Value = float | int | str | None
"""A feature's value: a finite number, a category, or missing."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far ahead of now a moment may lie: clocks differ a little."""

PREDICTION_ID = r"^[\x21-\x7e]{1,128}$"
"""What a prediction's id looks like: visible ASCII characters."""


def as_utc(moment: datetime | str) -> datetime:
    """A UTC datetime from one that has a zone, or from its ISO 8601 text; raises ValueError without a zone."""
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    if parsed.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return parsed.astimezone(UTC)


def stored_time(moment: datetime | str) -> datetime:
    """The UTC datetime as MongoDB stores it: truncated to milliseconds, so that it is identical on every path."""
    utc = as_utc(moment)
    return utc.replace(microsecond=utc.microsecond // 1_000 * 1_000)


def is_in_future(moment: datetime, now: datetime) -> bool:
    """Whether it lies so far ahead that a clock must be wrong."""
    return moment > now + CLOCK_TOLERANCE


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of a model, with what it saw."""

    prediction_id: str
    model: str
    model_version: str
    created_at: datetime
    features: Mapping[str, Value]
    prediction: float | str
    context: Mapping[str, Any] = field(default_factory=dict)
    probabilities: Mapping[str, float] | None = None
    latency_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The one wire and stored form; created_at stays a datetime (JSON writers make it ISO 8601)."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Prediction":
        """Back from to_dict() or its JSON; raises KeyError, TypeError or ValueError for anything else."""
        known = {name: data[name] for name in cls.__slots__ if name in data}
        return cls(**{**known, "created_at": stored_time(data["created_at"])})


@dataclass(frozen=True, slots=True)
class Target:
    """The truth about one prediction, in the target's unit or as the class's name."""

    prediction_id: str
    model: str
    target: float | str
    received_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """The one wire and stored form; received_at stays a datetime."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Target":
        """Back from to_dict() or its JSON; raises KeyError, TypeError or ValueError for anything else."""
        known = {name: data[name] for name in cls.__slots__ if name in data}
        return cls(**{**known, "received_at": stored_time(data["received_at"])})
