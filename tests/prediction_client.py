"""The prediction service behind Flask's client, with an event log by hand."""

from collections.abc import Sequence
from typing import Any

import orjson
from flask.testing import FlaskClient

from prediction_service.app import create_app
from prediction_service.errors import OutboxFull
from prediction_service.live_models import LiveModels
from prediction_service.metrics import Metrics
from prediction_service.outbox_types import NewEvent
from prediction_service.service import PredictionService
from sextant.infrastructure.settings import load_settings

TRIP = {"PULocationID": 74, "DOLocationID": "41", "trip_distance": 2.0}
PROBLEM = "application/problem+json"


class FakeEventLog:
    """Keeps what it is given, unless it is full."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.full = False

    def append(self, events: Sequence[NewEvent]) -> None:
        if self.full:
            raise OutboxFull("the outbox has reached its limit")
        self.events.extend(events)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(event.body) for event in self.events]


def make_client(models: LiveModels, log: FakeEventLog, metrics: Metrics, **settings: Any) -> FlaskClient:
    """A client of a service with these settings."""
    loaded = load_settings(**settings)
    service = PredictionService(models, log, "taxi", max_record_bytes=loaded.max_record_bytes)
    return create_app(loaded, service, metrics).test_client()
