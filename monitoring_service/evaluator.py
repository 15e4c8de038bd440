"""The evaluation loops: windows that changed and, less often, all columns together."""

import time
from collections.abc import Callable
from datetime import datetime

import structlog

from monitoring_service.model_monitor import (
    ModelMonitor,
    MultivariateEvaluation,
    Snapshot,
    WindowEvaluation,
)
from monitoring_service.monitors import Monitors
from monitoring_service.window_facts import WindowFacts
from sextant.evaluation.evaluate import Evaluation, evaluate

log = structlog.get_logger(__name__)

MULTIVARIATE = "multivariate"  # in place of a feature's name where errors are counted

Clock = Callable[[], datetime]
CountError = Callable[[str, str], None]
"""Called with model and feature ("" for the evaluation as a whole) for everything that failed."""


class Evaluator:
    """Judges each model's window when it changed since the last time and holds enough rows."""

    def __init__(self, monitors: Monitors, *, min_rows: int, clock: Clock, count_error: CountError) -> None:
        self._monitors = monitors
        self._min_rows = min_rows
        self._clock = clock
        self._count_error = count_error

    def run(self) -> None:
        """One round over all models; one that fails never stops the others."""
        self._monitors.follow()
        for monitor in self._monitors:
            try:
                self._judge(monitor)
            except Exception as error:  # whatever it is, the loop goes on and the error is counted
                monitor.forget_latest()
                self._count_error(monitor.name, "")
                log.error("evaluation failed", model=monitor.name, exc_info=error)

    def _judge(self, monitor: ModelMonitor) -> None:
        snapshot = monitor.snapshot()
        if len(snapshot.rows.predictions) < self._min_rows:
            monitor.forget_latest()
        elif _changed(snapshot, monitor.latest):
            outcome = self._outcome(snapshot)
            monitor.record(outcome)
            self._count(monitor.name, outcome.evaluation)

    def _outcome(self, snapshot: Snapshot) -> WindowEvaluation:
        now, began = self._clock(), time.perf_counter()
        evaluation = evaluate_snapshot(snapshot)
        return WindowEvaluation(
            monitored=snapshot.monitored,
            revision=snapshot.revision,
            window=WindowFacts.of(snapshot.rows),
            evaluation=evaluation,
            evaluated_at=now,
            seconds=time.perf_counter() - began,
        )

    def _count(self, model: str, evaluation: Evaluation) -> None:
        """A measure that is undefined on these rows is no fault; the page and the JSON name it."""
        for column in evaluation.errors:
            self._count_error(model, column)


def evaluate_snapshot(snapshot: Snapshot) -> Evaluation:
    """Judge a snapshot of at least one row."""
    monitored = snapshot.monitored
    return evaluate(
        monitored.reference,
        snapshot.frame(),
        monitored.calibration,
        segment_calibration=monitored.segment_calibration,
        estimator=monitored.estimator,
    )


class MultivariateEvaluator:
    """Judges each model's features together, less often, since it trains a classifier each time."""

    def __init__(self, monitors: Monitors, *, min_rows: int, clock: Clock, count_error: CountError) -> None:
        self._monitors = monitors
        self._min_rows = min_rows
        self._clock = clock
        self._count_error = count_error

    def run(self) -> None:
        """One round over all models; one that fails never stops the others."""
        for monitor in self._monitors:
            try:
                self._judge(monitor)
            except Exception as error:  # as above
                monitor.record_multivariate(None)
                self._count_error(monitor.name, MULTIVARIATE)
                log.error("multivariate evaluation failed", model=monitor.name, exc_info=error)

    def _judge(self, monitor: ModelMonitor) -> None:
        snapshot = monitor.snapshot()
        if len(snapshot.rows.predictions) < self._min_rows:
            monitor.record_multivariate(None)
        elif _changed(snapshot, monitor.multivariate):
            monitored = snapshot.monitored
            verdict = monitored.domain.measure(snapshot.frame(), monitored.multivariate_calibration)
            if reason := monitored.unknowable.get("multivariate_calibration"):
                verdict = verdict.because(reason)
            monitor.record_multivariate(
                MultivariateEvaluation(monitored, snapshot.revision, verdict, self._clock())
            )


def _changed(snapshot: Snapshot, latest: WindowEvaluation | MultivariateEvaluation | None) -> bool:
    if latest is None:
        return True
    return latest.revision != snapshot.revision or latest.monitored is not snapshot.monitored
