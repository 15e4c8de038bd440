"""Refills the windows from MongoDB after a start and regularly afterwards, so that no event is missed.

Again, because an event may reach monitoring before MongoDB, and monitoring may be killed in between; or because
the relay skipped ahead of a backlog.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import structlog

from monitoring_service.evaluator import Clock
from monitoring_service.model_monitor import ModelMonitor
from monitoring_service.monitors import Monitors
from monitoring_service.usable import why_unusable
from sextant.contracts.errors import StoreUnavailable
from sextant.contracts.events import CLOCK_TOLERANCE, Prediction, Target
from sextant.evaluation.window import Added

log = structlog.get_logger(__name__)

RUNS_BETWEEN = 30
Event = TypeVar("Event", Prediction, Target)


class StoredEvents(Protocol):
    """The part of sextant.infrastructure.event_store.EventStore that a refill needs."""

    def latest(self, model: str, count: int, *, until: datetime) -> list[Prediction]:
        """The model's newest predictions up to a moment."""

    def targets_for(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Target]:
        """The targets that have arrived for these predictions."""


class Refill:
    """Refills each model's window: on every run until it has worked, and then on every thirtieth."""

    def __init__(self, monitors: Monitors, store: StoredEvents, *, window_size: int, clock: Clock) -> None:
        self._monitors = monitors
        self._store = store
        self._window_size = window_size
        self._clock = clock
        self._done: set[str] = set()
        self._failure = "not tried yet"
        self._tasks = 0

    @property
    def missing(self) -> Mapping[str, str]:
        """The models whose windows are still to be refilled, with the reason."""
        return dict.fromkeys(sorted(self._monitors.names() - self._done), self._failure)

    def run(self) -> None:
        """Refill what is due; events that are in the window already stay, since it takes each event once."""
        self._tasks += 1
        for monitor in self._monitors:
            if monitor.name not in self._done or self._tasks % RUNS_BETWEEN == 0:
                self._try(monitor)

    def _try(self, monitor: ModelMonitor) -> None:
        try:
            until = self._clock() + CLOCK_TOLERANCE  # rows from the future would leave none of the present
            predictions = self._store.latest(monitor.name, self._window_size, until=until)
            targets = self._store.targets_for(monitor.name, (made.prediction_id for made in predictions))
        except StoreUnavailable as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  a document that is not ours must not stop the loop
            self._fail(f"{type(error).__name__}: {error}")
        else:
            self._add(monitor, _usable(monitor, predictions), _usable(monitor, targets.values()))

    def _add(self, monitor: ModelMonitor, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        became = monitor.ingest(predictions, targets, self._clock(), recorded=True)
        if became[Added.ACCEPTED] or monitor.name not in self._done:
            log.info("window refilled", model=monitor.name, events=became[Added.ACCEPTED])
        self._done.add(monitor.name)

    def _fail(self, reason: str) -> None:
        if reason != self._failure:
            log.warning("window not refilled from MongoDB, retrying", reason=reason)
        self._failure = reason


def _usable(monitor: ModelMonitor, events: Iterable[Event]) -> list[Event]:
    """Those that an evaluation can use: MongoDB may hold what others wrote."""
    reasons = [(event, why_unusable(event)) for event in events]
    if left_out := [reason for _, reason in reasons if reason]:
        log.warning("stored events left out", model=monitor.name, events=len(left_out), reason=left_out[0])
    return [event for event, reason in reasons if reason is None]
