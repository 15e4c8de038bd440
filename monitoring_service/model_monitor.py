"""Everything that monitoring knows of one model: its window, its bundle, and what the evaluations said."""

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from monitoring_service.window_facts import WindowFacts
from sextant.contracts.events import CLOCK_TOLERANCE, Prediction, Target, is_in_future
from sextant.contracts.model_bundle import Manifest, ModelBundle
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.column import Thresholds
from sextant.evaluation.drift.multivariate import DomainClassifier
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.frames import ConformedFrame, to_frame
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import Verdict
from sextant.evaluation.verdicts import KINDS
from sextant.evaluation.window import Added, Window, WindowRows

HISTORY = 180
ORDER = {kind.name: place for place, kind in enumerate(KINDS)}
INGEST_CHUNK = 200  # events for which the lock is held at once


@dataclass(frozen=True)
class MonitoredVersion:
    """The version that a window is judged against: bundle, prepared reference, and what was found out from it."""

    bundle: ModelBundle
    reference: Reference
    domain: DomainClassifier
    calibration: Calibration | None = None
    segment_calibration: Calibration | None = None
    multivariate_calibration: Thresholds | None = None
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
    def of(cls, bundle: ModelBundle) -> "MonitoredVersion":
        """Read and prepare the bundle's reference."""
        reference = Reference.of(bundle)
        return cls(bundle, reference, DomainClassifier(reference))


@dataclass(frozen=True)
class Snapshot:
    """The window's rows at one revision, for one monitored."""

    monitored: MonitoredVersion
    rows: WindowRows
    revision: int

    def frame(self) -> ConformedFrame:
        """The rows as evaluation takes them."""
        return to_frame(self.rows.predictions, self.rows.targets, self.monitored.manifest)


@dataclass(frozen=True, slots=True)
class WindowEvaluation:
    """One evaluation and the bounds of the window that it judged; holds no rows, since many are kept."""

    monitored: MonitoredVersion
    revision: int
    window: WindowFacts
    evaluation: Evaluation
    evaluated_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class MultivariateEvaluation:
    """One judgement of all features together."""

    monitored: MonitoredVersion
    revision: int
    verdict: Verdict
    evaluated_at: datetime


@dataclass(frozen=True)
class MonitorState:
    """What a monitor holds at one moment, all of it about the same version."""

    snapshot: Snapshot
    latest: WindowEvaluation | None
    """The last evaluation; None where the window cannot be judged now."""

    multivariate: MultivariateEvaluation | None
    history: Sequence[WindowEvaluation]
    """The last evaluations, oldest first."""

    @property
    def verdicts(self) -> list[Verdict]:
        """Every verdict that stands: the latest evaluation's, and the one on all features together."""
        latest = self.latest.evaluation.verdicts if self.latest else ()
        together = [self.multivariate.verdict] if self.multivariate else []
        return sorted([*latest, *together], key=lambda verdict: ORDER[verdict.name])


class ModelMonitor:
    """The state of one monitored model; safe to share between the request threads and the loops."""

    def __init__(self, monitored: MonitoredVersion, window_size: int, window_seconds: float | None = None) -> None:
        self.name = monitored.manifest.name
        self._lock = threading.Lock()
        self._window = Window(window_size, window_seconds)
        self._monitored = monitored
        self._latest: WindowEvaluation | None = None
        self._multivariate: MultivariateEvaluation | None = None
        self._history: deque[WindowEvaluation] = deque(maxlen=HISTORY)

    def ingest(
        self,
        predictions: Sequence[Prediction],
        targets: Sequence[Target],
        now: datetime,
        *,
        recorded: bool = False,
    ) -> Counter[Added]:
        """Add events to the window, with the lock held for moments only; says what became of them.

        Those that are on record, in MongoDB, take the place of what came live under their ids.

        One from the future would keep its place until then, and the rows of the present out, so it stays outside,
        and leaves the window if the clock was set back since; a refill takes it once its time has come.
        """
        with self._lock:
            self._window.drop_later_than(now + CLOCK_TOLERANCE)
        made = [prediction for prediction in predictions if not is_in_future(prediction.created_at, now)]
        arrived = [target for target in targets if not is_in_future(target.received_at, now)]
        ahead = len(predictions) + len(targets) - len(made) - len(arrived)
        became: Counter[Added] = Counter({Added.IN_FUTURE: ahead} if ahead else {})
        for start in range(0, len(made), INGEST_CHUNK):
            with self._lock:
                add = self._window.add_recorded if recorded else self._window.add_prediction
                became.update(map(add, made[start : start + INGEST_CHUNK]))
        for start in range(0, len(arrived), INGEST_CHUNK):
            with self._lock:
                became.update(map(self._window.add_target, arrived[start : start + INGEST_CHUNK]))
        return became

    def snapshot(self) -> Snapshot:
        """A copy of the rows of the live version."""
        with self._lock:
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        monitored = self._monitored
        return Snapshot(monitored, self._window.rows(monitored.manifest.version), self._window.revision)

    @property
    def monitored(self) -> MonitoredVersion:
        """What the window is judged against now."""
        return self._monitored

    def state(self) -> MonitorState:
        """Rows, evaluations and history at one moment: a switch of versions lies before it or after it."""
        with self._lock:
            return MonitorState(self._snapshot(), self._latest, self._multivariate, list(self._history))

    @property
    def latest(self) -> WindowEvaluation | None:
        """The last evaluation; None where the window cannot be judged now."""
        return self._latest

    @property
    def multivariate(self) -> MultivariateEvaluation | None:
        """The last judgement of all features together."""
        return self._multivariate

    def switch_to(self, monitored: MonitoredVersion) -> None:
        """Judge by another bundle from now on; what was said of the old one no longer counts."""
        with self._lock:
            self._monitored = monitored
            self._latest = None
            self._multivariate = None
            self._history.clear()

    def learn(self, monitored: MonitoredVersion, **found: Any) -> None:
        """Take fields that were found out about this monitored, unless another bundle took its place meanwhile."""
        with self._lock:
            if self._monitored.bundle is monitored.bundle:
                self._monitored = replace(self._monitored, **found)

    def cannot_learn(self, monitored: MonitoredVersion, name: str, reason: str) -> None:
        """Remember that a field cannot be found out, and why."""
        self.learn(monitored, unknowable={**monitored.unknowable, name: reason})

    def record(self, outcome: WindowEvaluation) -> None:
        """Keep an evaluation, unless another bundle has taken the place of the judged one meanwhile."""
        with self._lock:
            if self._monitored.bundle is outcome.monitored.bundle:
                self._latest = outcome
                self._history.append(outcome)

    def record_multivariate(self, outcome: MultivariateEvaluation | None) -> None:
        """Keep a judgement of all features together, likewise; None: there is none now."""
        with self._lock:
            if outcome is None or self._monitored.bundle is outcome.monitored.bundle:
                self._multivariate = outcome

    def forget_latest(self) -> None:
        """The window cannot be judged any more: its last numbers would be stale."""
        with self._lock:
            self._latest = None
