"""The composition of the monitoring service: its parts, and the threads that keep them going."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Info, disable_created_metrics

from monitoring_service.calibrator import Calibrator
from monitoring_service.evaluator import Clock, Evaluator, MultivariateEvaluator
from monitoring_service.ingest import Batch, parse_batch
from monitoring_service.metrics import MonitoringMetrics
from monitoring_service.monitors import Monitors
from monitoring_service.refill import Refill, StoredEvents
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.window import Added
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

log = structlog.get_logger(__name__)

STORE_TIMEOUT = 3.0
REFILL_SECONDS = 2.0
CALIBRATE_SECONDS = 0.5
STOP_SECONDS = 2.0


def utc_now() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)


def publish_links(registry: CollectorRegistry, settings: Settings) -> None:
    """Tell in a metric where people open the pages, so that dashboards can link to them."""
    links = Info("sextant_links", "The public addresses of the pages; always 1.", registry=registry)
    links.info(
        {
            "live_page": settings.live_page_url,
            "reports": settings.reports_url,
            "grafana": settings.grafana_url,
        }
    )


class PeriodicTask:
    """A thread that calls a function at once, and then with a pause of `seconds` after each call."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None], stop: threading.Event) -> None:
        self._seconds = seconds
        self._work = work
        self._stop = stop
        # A daemon: a calibration or a MongoDB that hangs never keeps the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def name(self) -> str:
        """What this thread does."""
        return self._thread.name

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the end, at most this long."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._work()
            except Exception as error:  # a task that dies silently is worse than one that repeats
                log.error("background work failed", work=self.name, exc_info=error)
            self._stop.wait(self._seconds)


class MonitoringService:
    """Windows of all models, judged in the background; nothing runs before start()."""

    def __init__(self, settings: Settings, store: StoredEvents, *, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.monitors = Monitors(settings.models_dir, settings.window_size, settings.window_seconds)
        self.monitors.load()
        self.metrics = MonitoringMetrics(self.monitors)
        publish_links(self.metrics.registry, settings)
        self.refill = Refill(self.monitors, store, window_size=settings.window_size, clock=clock)
        self._stop = threading.Event()
        self._tasks = self._background_tasks()

    @classmethod
    def with_mongodb(cls, settings: Settings) -> "MonitoringService":
        """The service as it runs: refilled from MongoDB; raises BundleError without a usable bundle."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody reads
        store = EventStore.connect(settings.mongodb_uri, settings.mongodb_database, timeout=STORE_TIMEOUT)
        return cls(settings, store)

    def _background_tasks(self) -> list[PeriodicTask]:
        settings = self.settings
        min_rows, count_error = settings.window_min_rows, self.metrics.count_error
        evaluator = Evaluator(self.monitors, min_rows=min_rows, clock=self.clock, count_error=count_error)
        together = MultivariateEvaluator(
            self.monitors, min_rows=min_rows, clock=self.clock, count_error=count_error
        )
        calibrator = Calibrator(
            self.monitors,
            CalibrationCache(settings.data_dir / "calibration"),
            false_alarm_rate=settings.false_alarm_rate,
            stop=self._stop,
        )
        return [
            PeriodicTask("refill", REFILL_SECONDS, self.refill.run, self._stop),
            PeriodicTask("calibration", CALIBRATE_SECONDS, calibrator.run, self._stop),
            PeriodicTask("evaluation", settings.evaluate_every, evaluator.run, self._stop),
            PeriodicTask("multivariate evaluation", settings.multivariate_every, together.run, self._stop),
        ]

    def start(self) -> None:
        """Start the background threads."""
        for task in self._tasks:
            task.start()

    def stop(self) -> None:
        """Stop them, waiting a moment for what they are doing."""
        self._stop.set()
        for task in self._tasks:
            with suppress(RuntimeError):  # was never started
                task.join(STOP_SECONDS)

    def ingest(self, body: Any) -> dict[str, Any]:
        """Take the events of a decoded POST /events body; raises WrongShape when it is no batch."""
        batch = self._parse(body)
        if batch.rejected and self.monitors.has_new():  # published since the last evaluation
            self.monitors.follow()
            batch = self._parse(body)
        became = self._add(batch)
        self._count(became, len(batch.rejected))
        if ahead := became[Added.IN_FUTURE]:
            log.warning("events from the future stay out of the window: a clock is wrong", events=ahead)
        return {
            "accepted": became[Added.ACCEPTED],
            "duplicates": became[Added.DUPLICATE],
            "too_old": became[Added.TOO_OLD],
            "in_future": became[Added.IN_FUTURE],
            "rejected": batch.rejected,
        }

    def _parse(self, body: Any) -> Batch:
        return parse_batch(body, self.monitors.names(), self.settings.max_record_bytes)

    def _add(self, batch: Batch) -> Counter[Added]:
        became: Counter[Added] = Counter()
        for monitor in self.monitors:
            predictions = [prediction for prediction in batch.predictions if prediction.model == monitor.name]
            targets = [target for target in batch.targets if target.model == monitor.name]
            became += monitor.ingest(predictions, targets, self.clock())
        return became

    def _count(self, became: Mapping[Added, int], rejected: int) -> None:
        for added, number in became.items():
            self.metrics.count_events(added.value, number)
        self.metrics.count_events("rejected", rejected)

    def problems(self) -> dict[str, str]:
        """What keeps the service from being ready, by part; empty when it is."""
        stopped = {task.name: "has stopped" for task in self._tasks if not task.is_alive}
        waiting = {f"window of {name}": f"not refilled yet, {why}" for name, why in self.refill.missing.items()}
        return stopped | waiting
