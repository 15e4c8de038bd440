"""What MongoDB's collections hold, as documents: the event store reads and writes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sextant.contracts.events import Prediction, Target

Document = dict[str, Any]
Event = TypeVar("Event", Prediction, Target)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that a sink will never take, or a document that is none, and why."""

    prediction_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class HourlyTraffic:
    """The predictions of one hour: how many, and how long they took on average."""

    rows: int
    latency_ms: float


def stored(data: Document) -> Document:
    """An event's one form, as a document."""
    return {"_id": data.pop("prediction_id"), **data}


def read_prediction(document: Document) -> Prediction | Refusal:
    """The prediction in a document; one of another form says what is wrong with it."""
    return _read(Prediction.from_dict, document)


def read_target(document: Document) -> Target | Refusal:
    """The target in a document, likewise."""
    return _read(Target.from_dict, document)


def _read(from_dict: Callable[[Mapping[str, Any]], Event], document: Document) -> Event | Refusal:
    try:
        return from_dict({"prediction_id": document["_id"], **document})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Refusal(str(document["_id"]), f"{type(error).__name__}: {error}"[:300])
