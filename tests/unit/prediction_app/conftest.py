"""The prediction service that each of these tests asks."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from prediction_service.live_models import LiveModels
from prediction_service.metrics import Metrics
from tests.conftest import publish_real_bundles
from tests.prediction_client import FakeEventLog, make_client


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> LiveModels:
    folder: Path = tmp_path_factory.mktemp("models")
    publish_real_bundles(folder)
    return LiveModels(folder)


@pytest.fixture
def log() -> FakeEventLog:
    return FakeEventLog()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(models: LiveModels, log: FakeEventLog, metrics: Metrics) -> FlaskClient:
    return make_client(models, log, metrics)
