"""A monitoring service without threads and without MongoDB: the test runs its tasks."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from monitoring_service.app import create_app
from monitoring_service.evaluator import Evaluator, MultivariateEvaluator
from monitoring_service.model_monitor import ModelMonitor
from monitoring_service.service import MonitoringService
from sextant.contracts.errors import StoreUnavailable
from sextant.contracts.events import Prediction, Target
from sextant.evaluation.drift.calibration import Calibration
from sextant.infrastructure.settings import Settings
from tests.bundles import make_trips
from tests.events import START, body_of, predictions_from, targets_from
from tests.processes import AS_RELAY, TOKEN

NOW = START + timedelta(hours=1)


class FakeStore:
    """A history in memory that may be away."""

    def __init__(self, predictions: Iterable[Prediction] = (), targets: Iterable[Target] = ()) -> None:
        self.predictions = list(predictions)
        self.targets = {target.prediction_id: target for target in targets}
        self.away = False

    def latest(self, model: str, count: int, *, until: datetime) -> list[Prediction]:
        if self.away:
            raise StoreUnavailable("MongoDB: refused")
        found = [p for p in self.predictions if p.model == model and p.created_at <= until]
        return sorted(found, key=lambda prediction: prediction.created_at)[-count:]

    def targets_for(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Target]:
        return {key: self.targets[key] for key in prediction_ids if key in self.targets}


class Harness:
    """A service whose tasks the test runs itself."""

    def __init__(self, settings: Settings, store: FakeStore) -> None:
        self.service = MonitoringService(settings, store, clock=lambda: NOW)
        self.client: FlaskClient = create_app(settings, self.service, TOKEN).test_client()
        self.evaluator = Evaluator(
            self.service.monitors,
            min_rows=settings.window_min_rows,
            clock=lambda: NOW,
            count_error=self.service.metrics.count_error,
        )

        self.together = MultivariateEvaluator(
            self.service.monitors,
            min_rows=settings.window_min_rows,
            clock=lambda: NOW,
            count_error=self.service.metrics.count_error,
        )

    def monitor(self, name: str = "taxi") -> ModelMonitor:
        monitor = self.service.monitors.get(name)
        assert monitor is not None
        return monitor

    def calibrate_with(self, calibration: Calibration) -> None:
        self.learn(calibration=calibration)

    def learn(self, **found: Any) -> None:
        self.monitor().learn(self.monitor().monitored, **found)

    def post(self, body: Any) -> dict[str, Any]:
        response = self.client.post("/events", json=body, headers=AS_RELAY)
        assert response.status_code == 202, response.text
        answer: dict[str, Any] = response.json
        return answer

    def drift(self, name: str = "taxi") -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get(f"/models/{name}/drift").json
        return answer

    def verdicts(self, kind: str, model: str = "taxi") -> list[dict[str, Any]]:
        """The verdicts of one kind in the drift JSON."""
        return [verdict for verdict in self.drift(model)["verdicts"] if verdict["name"] == kind]

    def samples(self) -> dict[tuple[str, str], float]:
        """Metric values by name and the most telling of their labels, of all rows; see segment_samples()."""
        return {
            (s.name, s.labels.get("feature") or s.labels.get("measure") or ""): s.value
            for s in self._samples()
            if not s.labels.get("segment")
        }

    def segment_samples(self, segment: str) -> dict[tuple[str, str], float]:
        """Metric values of one segment by name and measure."""
        return {
            (s.name, s.labels.get("measure", "")): s.value
            for s in self._samples()
            if s.labels.get("segment") == segment
        }

    def _samples(self) -> Iterator[Sample]:
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            yield from (s for s in family.samples if s.labels.get("model", "taxi") == "taxi")


def trip_events(rows: int, *, factor: float = 1.0, **options: Any) -> dict[str, Any]:
    trips = make_trips(rows, seed=33, distance_factor=factor)
    predictions = predictions_from(trips, **options)
    return body_of(predictions, targets_from(trips, predictions)[: rows // 2])
