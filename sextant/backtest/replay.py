"""The replay itself: stored events through a window as they came, judged as the live service would have."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol, Self

from sextant.backtest.plan import BacktestPlan
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import Manifest, ModelBundle
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.evaluate import Evaluation, evaluate
from sextant.evaluation.frames import to_frame
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.window import Window, WindowRows

CHUNK = 1_000
SAY_EVERY = 25

Say = Callable[[str], None]


class Events(Protocol):
    """The part of sextant.infrastructure.event_store.EventStore that a replay needs."""

    def between(self, model: str, start: datetime, end: datetime) -> Iterator[Prediction]:
        """Predictions of a model with start <= created_at < end, oldest first."""

    def targets_for(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Target]:
        """The targets that have arrived for these predictions."""


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation, the time of the newest prediction that it knew and of the oldest in its window."""

    at: datetime
    window_start: datetime
    evaluation: Evaluation


@dataclass(frozen=True)
class BacktestResult:
    """All evaluations of a replay in their order, and how many predictions of each version there were."""

    plan: BacktestPlan
    manifest: Manifest
    versions: Counter[str]
    steps: Sequence[Step]


@dataclass(frozen=True)
class Judge:
    """What windows are judged by: a bundle's reference, thresholds and, where it allows one, estimator."""

    reference: Reference
    calibration: Calibration
    estimator: PerformanceEstimator | None

    @classmethod
    def of(cls, bundle: ModelBundle, cache: Path, *, rate: float, say: Say) -> Self:
        """Prepare all of it; calibrates, for seconds, what the cache folder does not hold at this rate."""
        reference = Reference.of(bundle)

        def progress(column: str, done: int, total: int) -> None:
            say(f"calibrating {column} ({done + 1} of {total})")

        calibration = CalibrationCache(cache).columns(
            reference, bundle.reference_sha256, false_alarm_rate=rate, progress=progress
        )
        return cls(replace(reference, segment_columns=()), calibration, _estimator(reference, say))

    def evaluate(self, rows: WindowRows) -> Evaluation:
        """Judge rows of which there is at least one."""
        frame = to_frame(rows.predictions, rows.targets, self.reference.manifest)
        return evaluate(self.reference, frame, self.calibration, estimator=self.estimator)


def _estimator(reference: Reference, say: Say) -> PerformanceEstimator | None:
    try:
        return PerformanceEstimator.fit(reference)
    except ValueError as error:
        say(f"performance is not estimated: {error}")
        return None


def replay(events: Events, judge: Judge, plan: BacktestPlan, say: Say) -> BacktestResult:
    """Evaluate after each `plan.every` predictions, and at the end, every window that holds rows enough."""
    history = History(events, judge.reference.manifest, plan)
    steps: list[Step] = []
    for at, rows in history.windows():
        start = rows.start
        if start is None or len(rows.predictions) < plan.min_rows:
            continue
        steps.append(Step(at, start, judge.evaluate(rows)))
        if len(steps) % SAY_EVERY == 0:
            say(f"{len(steps):,} evaluations, {history.versions.total():,} predictions, up to {at:%Y-%m-%d %H:%M}")
    return BacktestResult(plan, judge.reference.manifest, history.versions, steps)


class History:
    """What the window of one model version held at each moment; memory is bounded by the window and a chunk."""

    def __init__(self, events: Events, manifest: Manifest, plan: BacktestPlan) -> None:
        self._events = events
        self._manifest = manifest
        self._plan = plan
        self._window = Window(plan.window, plan.window_seconds)
        self._to_come: dict[str, Target] = {}
        self.versions: Counter[str] = Counter()

    def windows(self) -> Iterator[tuple[datetime, WindowRows]]:
        """The time and the rows, after each `plan.every` new predictions and at the end.

        Predictions of the same moment all come first, so that their order in the store changes nothing.
        """
        new, moment = 0, self._plan.start
        for moment, made in groupby(self._read(), key=lambda event: event[0].created_at):
            for prediction, target in made:
                self._take(prediction, target)
                new += 1
            if new >= self._plan.every:
                yield moment, self._rows_at(moment)
                new = 0
        if new:
            yield moment, self._rows_at(moment)

    def _read(self) -> Iterator[tuple[Prediction, Target | None]]:
        plan, version = self._plan, self._manifest.version
        predictions = self._events.between(self._manifest.name, plan.start, plan.end)
        while chunk := list(islice(predictions, CHUNK)):
            ids = [made.prediction_id for made in chunk if made.model_version == version]
            targets = self._events.targets_for(self._manifest.name, ids)
            yield from ((prediction, targets.get(prediction.prediction_id)) for prediction in chunk)

    def _take(self, prediction: Prediction, target: Target | None) -> None:
        self._window.add_prediction(prediction)
        self.versions[prediction.model_version] += 1
        if target is not None:
            self._to_come[prediction.prediction_id] = target

    def _rows_at(self, moment: datetime) -> WindowRows:
        """The window with the targets that had arrived by then; those of rows that left it are forgotten."""
        for target in self._to_come.values():
            if target.received_at <= moment:
                self._window.add_target(target)
        rows = self._window.rows(self._manifest.version)
        waiting = [p.prediction_id for p in rows.predictions if p.prediction_id not in rows.targets]
        self._to_come = {key: self._to_come[key] for key in waiting if key in self._to_come}
        return rows
