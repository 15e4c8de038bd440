"""Evidently's report of a model's current window: made on demand, one at a time, kept until the rows change."""

import threading
from dataclasses import dataclass

from monitoring_service.evaluator import evaluate_snapshot
from monitoring_service.model_monitor import ModelMonitor, MonitoredVersion, Snapshot
from sextant.contracts.errors import Rejected


class EmptyWindow(Rejected):
    """There is nothing to report on yet."""


@dataclass(frozen=True, slots=True)
class _Kept:
    monitored: MonitoredVersion
    revision: int
    html: str

    def is_of(self, snapshot: Snapshot) -> bool:
        """Whether nothing has changed since it was made."""
        return self.monitored is snapshot.monitored and self.revision == snapshot.revision


class WindowReports:
    """Renders reports; each takes seconds of a core, so the last one of each model is kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def html(self, monitor: ModelMonitor) -> str:
        """The report of the window as it is now; raises EmptyWindow while it holds no rows."""
        with self._lock:
            snapshot = monitor.snapshot()
            if not snapshot.rows.predictions:
                raise EmptyWindow(f"the window of {monitor.name!r} holds no predictions of the live version yet")
            kept = self._kept.get(monitor.name)
            if kept is None or not kept.is_of(snapshot):
                kept = _Kept(snapshot.monitored, snapshot.revision, _render(snapshot))
                self._kept[monitor.name] = kept
            return kept.html


def _render(snapshot: Snapshot) -> str:
    from sextant.evaluation.report import render  # with Evidently, which most services are never asked for

    return render(snapshot.monitored.reference, snapshot.frame(), evaluate_snapshot(snapshot)).html
