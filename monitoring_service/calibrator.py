"""Calibrates thresholds and fits the estimator for each bundle, in the background while the service runs.

A bundle with event times brought what its thresholds are made of, so that they are there at once.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from monitoring_service.model_monitor import ModelMonitor, MonitoredVersion
from monitoring_service.monitors import Monitors
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.performance.estimation import PerformanceEstimator

log = structlog.get_logger(__name__)

Progress = Callable[[str, int, int], None]
Step = Callable[[MonitoredVersion, Progress], Any]


class Stopped(Exception):
    """The service stops, so the step is given up."""


class Calibrator:
    """Thresholds first, since alarms wait for them; then the estimator, segments and the multivariate test."""

    def __init__(
        self, monitors: Monitors, cache: CalibrationCache, *, false_alarm_rate: float, stop: threading.Event
    ) -> None:
        self._monitors = monitors
        self._cache = cache
        self._rate = false_alarm_rate
        self._stop = stop
        self._steps: dict[str, Step] = {
            "calibration": self._columns,
            "estimator": _estimator,
            "segment_calibration": self._segments,
            "multivariate_calibration": self._multivariate,
        }

    def run(self) -> None:
        """Take each step that is due; cheap when there is none.

        Bundles that brought what thresholds are made of come first: the others would keep them waiting.
        """
        monitors = list(self._monitors)
        at_once = [monitor for monitor in monitors if monitor.monitored.reference.nulls is not None]
        for some in (at_once, [monitor for monitor in monitors if monitor not in at_once]):
            for name, step in self._steps.items():
                self._take_all(name, step, some)

    def _take_all(self, name: str, step: Step, monitors: Iterable[ModelMonitor]) -> None:
        for monitor in monitors:
            if monitor.monitored.lacks(name):
                self._take(name, step, monitor)

    def _take(self, name: str, step: Step, monitor: ModelMonitor) -> None:
        monitored, began = monitor.monitored, time.perf_counter()
        about = {"model": monitor.name, "version": monitored.manifest.version, "step": name}

        def progress(test: str, done: int, total: int) -> None:
            if self._stop.is_set():
                raise Stopped
            log.info("calibrating", **about, test=test, done=done, total=total)

        try:
            monitor.learn(monitored, **{name: step(monitored, progress)})
        except Stopped:
            return
        except ValueError as error:  # the reference does not allow it: the rest goes on without
            monitor.cannot_learn(monitored, name, str(error))
            log.warning("not calibrated", **about, reason=str(error))
        else:
            seconds = round(time.perf_counter() - began, 2)
            log.info("calibrated", **about, seconds=seconds, thresholds=monitored.reference.holds)

    def _columns(self, monitored: MonitoredVersion, progress: Progress) -> Any:
        return self._cache.columns(
            monitored.reference, monitored.sha256, false_alarm_rate=self._rate, progress=progress
        )

    def _segments(self, monitored: MonitoredVersion, progress: Progress) -> Any:
        return self._cache.segments(
            monitored.reference, monitored.sha256, false_alarm_rate=self._rate, progress=progress
        )

    def _multivariate(self, monitored: MonitoredVersion, progress: Progress) -> Any:
        return self._cache.multivariate(
            monitored.reference, monitored.domain, monitored.sha256, false_alarm_rate=self._rate, progress=progress
        )


def _estimator(monitored: MonitoredVersion, _: Progress) -> PerformanceEstimator:
    return PerformanceEstimator.fit(monitored.reference)
