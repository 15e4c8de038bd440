"""What the service does on each beat: judge windows that changed, and find the thresholds of new bundles."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from evaluation.calibration_cache import CalibrationCache
from evaluation.evaluate import Evaluation, evaluate
from evaluation.frames import to_frame
from monitoring_service.model_monitor import ModelMonitor, Outcome, Snapshot
from monitoring_service.monitors import Monitors

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
CountError = Callable[[str, str], None]
"""Called with model and feature ("" for the evaluation as a whole) for everything that failed."""


class Stopped(Exception):
    """The service stops, so a calibration is given up."""


class Evaluator:
    """Judges each model's window when it changed since the last time and holds enough rows."""

    def __init__(self, monitors: Monitors, *, min_rows: int, clock: Clock, count_error: CountError) -> None:
        self._monitors = monitors
        self._min_rows = min_rows
        self._clock = clock
        self._count_error = count_error

    def beat(self) -> None:
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

    def _outcome(self, snapshot: Snapshot) -> Outcome:
        rows, now, began = snapshot.rows, self._clock(), time.perf_counter()
        evaluation = evaluate_snapshot(snapshot)
        return Outcome(
            subject=snapshot.subject,
            revision=snapshot.revision,
            start=rows.start or now,
            end=rows.end or now,
            label_delay=rows.label_delay,
            evaluation=evaluation,
            evaluated_at=now,
            seconds=time.perf_counter() - began,
        )

    def _count(self, model: str, evaluation: Evaluation) -> None:
        for column in evaluation.errors:
            self._count_error(model, column)
        if evaluation.performance.errors:
            self._count_error(model, "target")


def evaluate_snapshot(snapshot: Snapshot) -> Evaluation:
    """Judge a snapshot of at least one row."""
    subject, rows = snapshot.subject, snapshot.rows
    frame = to_frame(rows.predictions, rows.targets, subject.manifest.feature_schema)
    return evaluate(subject.reference, frame, subject.calibration)


def _changed(snapshot: Snapshot, latest: Outcome | None) -> bool:
    if latest is None:
        return True
    return latest.revision != snapshot.revision or latest.subject is not snapshot.subject


class Calibrator:
    """Finds the thresholds of every bundle that has none yet, while the service already serves."""

    def __init__(
        self, monitors: Monitors, cache: CalibrationCache, *, false_alarm_rate: float, stop: threading.Event
    ) -> None:
        self._monitors = monitors
        self._cache = cache
        self._rate = false_alarm_rate
        self._stop = stop

    def beat(self) -> None:
        """Calibrate what is not; cheap when there is nothing to do."""
        for monitor in self._monitors:
            if monitor.subject.calibration is None:
                self._calibrate(monitor)

    def _calibrate(self, monitor: ModelMonitor) -> None:
        subject = monitor.subject
        began = time.perf_counter()

        def progress(column: str, done: int, total: int) -> None:
            if self._stop.is_set():
                raise Stopped
            log.info("calibrating", model=monitor.name, column=column, done=done, total=total)

        try:
            calibration = self._cache.get(
                subject.reference, subject.bundle.reference_sha256, false_alarm_rate=self._rate, progress=progress
            )
        except Stopped:
            return
        monitor.calibrated(subject, calibration)
        log.info(
            "calibrated",
            model=monitor.name,
            version=subject.manifest.version,
            seconds=round(time.perf_counter() - began, 2),
            failures=dict(calibration.failures),
        )
