"""A process that cannot do its work stops at start with one line that says what is wrong and what to run."""

import subprocess
import sys

import pytest
import requests

from sextant.contracts.model_bundle import ONNX_MODEL
from tests.processes import ROOT, Program, wait_until

PREDICTION = ["-m", "prediction_service"]
RELAY = ["-m", "prediction_service.relay"]
MONITORING = ["-m", "monitoring_service"]


def run(services, command, **more):
    environment = {**Program([], services.environment, services.folder, bool).environment, **more}
    return subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_one_line(result, *words):
    lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert result.returncode != 0
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("command", [PREDICTION, RELAY, MONITORING])
def test_a_wrong_setting_stops_the_service_with_one_line(services, command):
    result = run(services, command, OUTBOX_MAX_BYTES="lots", MONGODB_URI="nowhere")
    assert_one_line(result, "OUTBOX_MAX_BYTES", "'lots'", "MONGODB_URI")


@pytest.mark.parametrize("command", [PREDICTION, MONITORING])
def test_without_a_model_the_line_says_what_to_run(services, command):
    assert_one_line(run(services, command, DATA_DIR=str(services.folder / "empty")), "run: python prepare.py")


@pytest.mark.parametrize("command", [PREDICTION, MONITORING])
def test_a_corrupt_model_is_named_with_what_to_run(services, command):
    for model in services.models_dir.iterdir():  # one that is whole would be served and monitored
        (model / "v1" / ONNX_MODEL).write_bytes(b"damaged")
    assert_one_line(run(services, command), "model.onnx", "corrupt", "prepare.py --force")


def test_a_corrupt_outbox_is_set_aside_loudly_and_service_goes_on(services):
    outbox = services.data_dir / "outbox" / "outbox.db"
    outbox.parent.mkdir(parents=True)
    outbox.write_bytes(b"this is not a database" * 100)
    prediction = services.prediction().start()
    trip = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
    assert requests.post(f"{services.prediction_url}/predict", json=trip, timeout=10).status_code == 200
    (aside,) = outbox.parent.glob("outbox.corrupt-*.db")
    assert aside.read_bytes() == b"this is not a database" * 100
    assert '"level":"critical"' in prediction.log.read_text()
    assert aside.name in prediction.log.read_text()


def test_a_second_relay_on_the_same_outbox_stops_with_one_line(services):
    services.relay().start()
    assert_one_line(run(services, RELAY, RELAY_PORT="1"), "another relay")


def test_a_new_version_is_served_without_a_restart(services):
    from tests.bundles import TRIP_SCHEMA, make_trips, publish_bundle
    from tests.onnx_models import trip_duration

    services.prediction().start()
    new = {"name": "taxi", "version": "v2", "task": "regression", "onnx": trip_duration()}
    publish_bundle(services.models_dir, make_trips(100), TRIP_SCHEMA, **new)
    trip = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}

    def version() -> str:
        return requests.post(f"{services.prediction_url}/predict", json=trip, timeout=10).json()["model_version"]

    wait_until(lambda: version() == "v2", "the new version to go live")
