"""What a window holds: predictions of the version in question, and a count of everything that is left out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_flows.time_range import Window
from sextant.contracts.events import Prediction
from sextant.infrastructure.documents import Refusal

if TYPE_CHECKING:  # see steps
    import pandas as pd

PARTS = 24
SHORTEST_PART_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WindowRows:
    """A window's predictions of one version as a frame, and what was counted while reading them."""

    frame: "pd.DataFrame"
    predictions: int
    other_versions: Mapping[str, int]
    skipped: int = 0
    skipped_example: str | None = None

    @property
    def rows(self) -> int:
        """How many rows are evaluated: all of them, or a sample of a long window."""
        return len(self.frame)

    @property
    def sampled(self) -> bool:
        """Whether the window holds more predictions than are evaluated."""
        return self.rows < self.predictions


@dataclass
class LeftOut:
    """Counts what is not evaluated, and keeps one example of what is no prediction."""

    other_versions: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    example: Refusal | None = None

    def skip(self, refusal: Refusal) -> None:
        """Count a malformed document; the example is the one with the smallest id, whatever the order."""
        self.skipped += 1
        if self.example is None or refusal.prediction_id < self.example.prediction_id:
            self.example = refusal

    def of_version(self, predictions: Iterable[Prediction], version: str) -> Iterator[Prediction]:
        """The usable predictions of this version; all others are counted."""
        for prediction in predictions:
            if (flaw := flaw_of(prediction)) is not None:
                self.skip(Refusal(prediction.prediction_id, flaw))
            elif prediction.model_version == version:
                yield prediction
            else:
                self.other_versions[prediction.model_version] += 1

    def rows(self, frame: "pd.DataFrame", predictions: int) -> WindowRows:
        """The frame with what was counted."""
        example = f"{self.example.prediction_id}: {self.example.reason}" if self.example else None
        return WindowRows(frame, predictions, dict(self.other_versions), self.skipped, example)


def flaw_of(prediction: Prediction) -> str | None:
    """Why a stored document of another time or hand cannot be read as a row; a missing feature is no flaw."""
    if not isinstance(prediction.model_version, str):
        return f"its model_version is {type(prediction.model_version).__name__}, not text"
    for name in ("features", "context", "probabilities"):
        value = getattr(prediction, name)
        if not isinstance(value, Mapping) and not (value is None and name != "features"):
            return f"its {name} is {type(value).__name__}, not an object"
    return None


def parts_of(window: Window) -> Iterator[Window]:
    """The window in at most 24 equal parts, each read by a query of its own, so that none is long."""
    length = window.end - window.start
    count = max(1, min(PARTS, int(length.total_seconds() // SHORTEST_PART_SECONDS)))
    edges = [window.start + length * number / count for number in range(count)]
    for start, end in zip(edges, [*edges[1:], window.end], strict=True):
        yield Window(start, end)
