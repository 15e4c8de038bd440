"""What MongoDB's collections hold, as documents: the event store reads and writes them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sextant.contracts.events import Prediction, Target

Document = dict[str, Any]
Event = TypeVar("Event", Prediction, Target)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that is no event, or cannot be used as one, and why."""

    prediction_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RefusedWrite:
    """An event that MongoDB will never take, by its place among those given, and why: an id may occur twice."""

    position: int
    prediction_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class HourlyTraffic:
    """The predictions of one hour, how many of them know how long they took, and how long that was on average."""

    rows: int
    timed: int
    latency_ms: float | None


def key_of(model: str, prediction_id: str) -> str:
    """The `_id` of an event: ids are unique by model."""
    return f"{model}/{prediction_id}"


def stored(event: Prediction | Target) -> Document:
    """An event's one form, as a document."""
    return {"_id": key_of(event.model, event.prediction_id), **event.to_dict()}


def id_of(document: Document) -> Any:
    """The prediction's id; in old documents, which have no `prediction_id`, it is the `_id`."""
    return document.get("prediction_id", document["_id"])


def are_about(model: str, ids: Collection[str]) -> list[Document]:
    """Queries that together find a model's events by id: as they are stored now, and as they were."""
    old = {"_id": {"$in": list(ids)}, "prediction_id": {"$exists": False}, "model": {"$in": [model, None]}}
    return [{"_id": {"$in": [key_of(model, prediction_id) for prediction_id in ids]}}, old]


def whole_seconds(start: datetime, end: datetime) -> Document:
    """A query for the whole seconds around start <= time < end: nx-27017 compares dates by the second."""
    last = end.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return {"$gte": start.astimezone(UTC).replace(microsecond=0), "$lt": last}


def read(kind: type[Event], document: Document) -> Event | Refusal:
    """The event in a document; a document of another form says what is wrong with it."""
    try:
        return kind.from_dict({**document, "prediction_id": id_of(document)})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Refusal(str(id_of(document)), f"{type(error).__name__}: {error}"[:300])


def hourly_traffic(documents: Iterable[Document]) -> dict[datetime, HourlyTraffic]:
    """Predictions counted by full hour, in order; latencies that are not known count for nothing."""
    rows: Counter[datetime] = Counter()
    timed: Counter[datetime] = Counter()
    latency: defaultdict[datetime, float] = defaultdict(float)
    for document in documents:
        hour = document["created_at"].replace(minute=0, second=0, microsecond=0)
        rows[hour] += 1
        if isinstance(taken := document.get("latency_ms"), int | float):
            timed[hour] += 1
            latency[hour] += taken
    return {
        hour: HourlyTraffic(count, timed[hour], latency[hour] / timed[hour] if timed[hour] else None)
        for hour, count in sorted(rows.items())
    }
