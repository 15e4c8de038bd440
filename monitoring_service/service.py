"""The composition of the monitoring service: its parts, and the threads that keep them going."""

import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Info, disable_created_metrics

from monitoring_service.beat import Beat
from monitoring_service.calibrator import Calibrator
from monitoring_service.evaluator import Clock, Evaluator, MultivariateEvaluator
from monitoring_service.ingest import Batch, parse_batch
from monitoring_service.metrics import MonitoringMetrics
from monitoring_service.monitors import Monitors
from monitoring_service.refill import History, Refill
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.window import Added
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

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


class MonitoringService:
    """Windows of all models, judged in the background; nothing runs before start()."""

    def __init__(self, settings: Settings, store: History, *, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.monitors = Monitors(settings.models_dir, settings.window_size)
        self.monitors.load()
        self.metrics = MonitoringMetrics(self.monitors)
        publish_links(self.metrics.registry, settings)
        self.refill = Refill(self.monitors, store, window_size=settings.window_size, clock=clock)
        self._stop = threading.Event()
        self._beats = self._threads()

    @classmethod
    def with_mongodb(cls, settings: Settings) -> "MonitoringService":
        """The service as it runs: refilled from MongoDB; raises BundleError without a usable bundle."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody reads
        store = EventStore.connect(settings.mongodb_uri, settings.mongodb_database, timeout=STORE_TIMEOUT)
        return cls(settings, store)

    def _threads(self) -> list[Beat]:
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
            Beat("refill", REFILL_SECONDS, self.refill.beat, self._stop),
            Beat("calibration", CALIBRATE_SECONDS, calibrator.beat, self._stop),
            Beat("evaluation", settings.evaluate_every, evaluator.beat, self._stop),
            Beat("multivariate evaluation", settings.multivariate_every, together.beat, self._stop),
        ]

    def start(self) -> None:
        """Start the background threads."""
        for beat in self._beats:
            beat.start()

    def stop(self) -> None:
        """Stop them, waiting a moment for what they are doing."""
        self._stop.set()
        for beat in self._beats:
            with suppress(RuntimeError):  # was never started
                beat.join(STOP_SECONDS)

    def ingest(self, body: Any) -> dict[str, Any]:
        """Take the events of a decoded POST /events body; raises WrongShapeError when it is no batch."""
        batch = parse_batch(body, self.monitors.names())
        if batch.rejected and self.monitors.has_new():  # published since the last beat
            self.monitors.follow()
            batch = parse_batch(body, self.monitors.names())
        became = self._add(batch)
        self._count(became, len(batch.rejected))
        return {
            "accepted": became[Added.ACCEPTED],
            "duplicates": became[Added.DUPLICATE],
            "too_old": became[Added.TOO_OLD],
            "rejected": batch.rejected,
        }

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
        stopped = {beat.name: "has stopped" for beat in self._beats if not beat.is_alive}
        waiting = {f"window of {name}": f"not refilled yet, {why}" for name, why in self.refill.missing.items()}
        return stopped | waiting
