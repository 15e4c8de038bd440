"""Everything that monitoring knows of one model: its window, its bundle, and what the evaluations said."""

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from monitoring_service.window_facts import WindowFacts
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import Manifest, ModelBundle
from sextant.evaluation.drift.calibration import Calibration, ColumnThresholds
from sextant.evaluation.drift.multivariate import DomainClassifier, MultivariateDrift
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.window import Added, Window, WindowRows

HISTORY = 180
INGEST_CHUNK = 200  # events for which the lock is held at once


@dataclass(frozen=True)
class Subject:
    """What a window is judged against: a bundle, its prepared reference, and what was found out from it."""

    bundle: ModelBundle
    reference: Reference
    domain: DomainClassifier
    calibration: Calibration | None = None
    segment_calibration: Calibration | None = None
    multivariate_calibration: ColumnThresholds | None = None
    estimator: PerformanceEstimator | None = None
    unknowable: Mapping[str, str] = field(default_factory=dict)
    """Which of these cannot be found out, and why."""

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    @property
    def sha256(self) -> str:
        """Identifies the reference's rows."""
        return self.bundle.reference_sha256

    def lacks(self, name: str) -> bool:
        """Whether this is still to be found out."""
        return getattr(self, name) is None and name not in self.unknowable

    @classmethod
    def of(cls, bundle: ModelBundle) -> "Subject":
        """Read and prepare the bundle's reference."""
        reference = Reference.prepare(bundle.manifest, bundle.reference())
        return cls(bundle, reference, DomainClassifier(reference))


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
    window: WindowFacts
    evaluation: Evaluation
    evaluated_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class MultivariateOutcome:
    """One judgement of all features together."""

    subject: Subject
    revision: int
    drift: MultivariateDrift
    evaluated_at: datetime


class ModelMonitor:
    """The state of one monitored model; safe to share between the request threads and the loops."""

    def __init__(self, subject: Subject, window_size: int) -> None:
        self.name = subject.manifest.name
        self._lock = threading.Lock()
        self._window = Window(window_size)
        self._subject = subject
        self._latest: Outcome | None = None
        self._multivariate: MultivariateOutcome | None = None
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
    def multivariate(self) -> MultivariateOutcome | None:
        """The last judgement of all features together."""
        return self._multivariate

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
            self._multivariate = None
            self._history.clear()

    def learn(self, subject: Subject, **found: Any) -> None:
        """Take fields that were found out about this subject, unless another bundle took its place meanwhile."""
        with self._lock:
            if self._subject.bundle is subject.bundle:
                self._subject = replace(self._subject, **found)

    def cannot_learn(self, subject: Subject, name: str, reason: str) -> None:
        """Remember that a field cannot be found out, and why."""
        self.learn(subject, unknowable={**subject.unknowable, name: reason})

    def record(self, outcome: Outcome) -> None:
        """Keep an evaluation, unless another bundle has taken the place of the judged one meanwhile."""
        with self._lock:
            if self._subject.bundle is outcome.subject.bundle:
                self._latest = outcome
                self._history.append(outcome)

    def record_multivariate(self, outcome: MultivariateOutcome | None) -> None:
        """Keep a judgement of all features together, likewise; None: there is none now."""
        with self._lock:
            if outcome is None or self._subject.bundle is outcome.subject.bundle:
                self._multivariate = outcome

    def forget_latest(self) -> None:
        """The window cannot be judged any more: its last numbers would be stale."""
        with self._lock:
            self._latest = None
