"""Everything that monitoring knows of one model: its window, its bundle, and what the evaluations said."""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.events import Prediction, Target
from contracts.model_bundle import Manifest, ModelBundle
from evaluation.calibration import Calibration
from evaluation.evaluate import Evaluation
from evaluation.reference import Reference
from monitoring_service.window import Added, Window, WindowRows

HISTORY = 180
INGEST_CHUNK = 200  # events for which the lock is held at once


@dataclass(frozen=True)
class Subject:
    """What a window is judged against: a bundle, its prepared reference, and thresholds once they are known."""

    bundle: ModelBundle
    reference: Reference
    calibration: Calibration | None = None

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    @classmethod
    def of(cls, bundle: ModelBundle) -> "Subject":
        """Read and prepare the bundle's reference."""
        return cls(bundle, Reference.prepare(bundle.manifest, bundle.reference()))


@dataclass(frozen=True)
class Snapshot:
    """The window's rows at one revision, for one subject."""

    subject: Subject
    rows: WindowRows
    revision: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One evaluation and the bounds of the window that it judged; holds no rows, since many are kept."""

    subject: Subject
    revision: int
    start: datetime
    end: datetime
    label_delay: float | None
    evaluation: Evaluation
    evaluated_at: datetime
    seconds: float


class ModelMonitor:
    """The state of one monitored model; safe to share between the request threads and the loops."""

    def __init__(self, subject: Subject, window_size: int) -> None:
        self.name = subject.manifest.name
        self._lock = threading.Lock()
        self._window = Window(window_size)
        self._subject = subject
        self._latest: Outcome | None = None
        self._history: deque[Outcome] = deque(maxlen=HISTORY)

    def ingest(
        self, predictions: Sequence[Prediction], targets: Sequence[Target], now: datetime
    ) -> Counter[Added]:
        """Add events to the window, with the lock held for moments only; says what became of them."""
        became: Counter[Added] = Counter()
        for start in range(0, len(predictions), INGEST_CHUNK):
            with self._lock:
                chunk = predictions[start : start + INGEST_CHUNK]
                became.update(self._window.add_prediction(prediction, now) for prediction in chunk)
        for start in range(0, len(targets), INGEST_CHUNK):
            with self._lock:
                became.update(self._window.add_target(target) for target in targets[start : start + INGEST_CHUNK])
        return became

    def snapshot(self) -> Snapshot:
        """A copy of the rows of the live version."""
        with self._lock:
            subject = self._subject
            return Snapshot(subject, self._window.rows(subject.manifest.version), self._window.revision)

    @property
    def subject(self) -> Subject:
        """What the window is judged against now."""
        return self._subject

    @property
    def latest(self) -> Outcome | None:
        """The last evaluation; None where the window cannot be judged now."""
        return self._latest

    @property
    def history(self) -> list[Outcome]:
        """The last evaluations of the live version, oldest first."""
        with self._lock:
            return list(self._history)

    def switch_to(self, subject: Subject) -> None:
        """Judge by another bundle from now on; what was said of the old one no longer counts."""
        with self._lock:
            self._subject = subject
            self._latest = None
            self._history.clear()

    def calibrated(self, subject: Subject, calibration: Calibration) -> None:
        """Take thresholds for this subject, unless another bundle has taken its place meanwhile."""
        with self._lock:
            if self._subject is subject:
                self._subject = replace(subject, calibration=calibration)

    def record(self, outcome: Outcome) -> None:
        """Keep an evaluation, unless another bundle has taken the place of the judged one meanwhile."""
        with self._lock:
            if self._subject.bundle is outcome.subject.bundle:
                self._latest = outcome
                self._history.append(outcome)

    def forget_latest(self) -> None:
        """The window cannot be judged any more: its last numbers would be stale."""
        with self._lock:
            self._latest = None
