"""MongoDB as the flows read it: the predictions of a time range; documents that are none are counted."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

from batch_flows.time_range import TimeRange
from sextant.contracts.events import Prediction
from sextant.infrastructure.documents import Refusal
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

MOST_QUERIES = 24
SHORTEST_QUERY = timedelta(minutes=1)


def open_store(settings: Settings) -> "closing[EventStore]":
    """The store that the settings name, to be used in a with statement."""
    return closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database))


@dataclass
class Skipped:
    """Documents that are no predictions or targets: how many, and the one with the smallest id as an example."""

    count: int = 0
    first: Refusal | None = None

    def add(self, refusal: Refusal) -> None:
        """Count a document; the example is the same in whatever order they come."""
        self.count += 1
        if self.first is None or refusal.prediction_id < self.first.prediction_id:
            self.first = refusal

    @property
    def example(self) -> str | None:
        """The example in words."""
        return f"{self.first.prediction_id}: {self.first.reason}" if self.first else None

    def usable(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """The predictions that can be read as rows; all others are counted."""
        for prediction in predictions:
            if (flaw := flaw_of(prediction)) is None:
                yield prediction
            else:
                self.add(Refusal(prediction.prediction_id, flaw))


def read_predictions(
    store: EventStore, model: str, window: TimeRange, skipped: Skipped, *, without: Iterable[str]
) -> Iterator[Prediction]:
    """A model's predictions of all versions, oldest first, in queries that are none of them long."""
    for part in window.parts(MOST_QUERIES, SHORTEST_QUERY):
        yield from skipped.usable(store.between(model, part.start, part.end, skip=skipped.add, without=without))


def flaw_of(prediction: Prediction) -> str | None:
    """Why a stored document of another time or hand cannot be read as a row; a missing feature is no flaw."""
    if not isinstance(prediction.model_version, str):
        return f"its model_version is {type(prediction.model_version).__name__}, not text"
    for name in ("features", "context", "probabilities"):
        value = getattr(prediction, name)
        if not isinstance(value, Mapping) and not (value is None and name != "features"):
            return f"its {name} is {type(value).__name__}, not an object"
    return None
