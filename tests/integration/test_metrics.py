"""The metrics of the real processes: accepted by promtool, and true of what the processes do."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import onnx
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from sextant.contracts.schema import Feature, FeatureSchema
from tests.bundles import TRIP_SCHEMA, make_trips, publish_bundle
from tests.conftest import publish_real_bundles
from tests.onnx_models import trip_duration
from tests.processes import Services, wait_until

TRIP = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
LONG_NAME = "distance_" + "x" * 991
LONG_VERSION = "v" * 200
QUICK = {"WINDOW_SIZE": "400", "WINDOW_MIN_ROWS": "50", "EVALUATE_EVERY": "0.2"}

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, calibrations: Path) -> Iterator[Services]:
    """All services after some traffic, with a model whose names are as long as can be."""
    services = Services(tmp_path_factory.mktemp("metrics"), calibrations)
    publish_real_bundles(services.models_dir)
    publish_long_names(services)
    try:
        start(services)
        yield services
    finally:
        services.stop_all()


def start(services: Services) -> None:
    programs = [
        services.mongo(),
        services.monitoring(**QUICK),
        services.prediction(CPU_PRICE_PER_HOUR="0.04"),
        services.relay(),
    ]
    for program in programs:
        program.start(wait=False)
    for program in programs:
        program.wait_ready()
    predict(services, 100)
    requests.post(f"{services.prediction_url}/models/long/predict", json={LONG_NAME: "far"}, timeout=10)
    wait_until(lambda: ("sextant_drift_score", "taxi") in by_model(services.monitoring_url), "an evaluation")


def publish_long_names(services: Services) -> None:
    model = onnx.load_from_string(trip_duration())
    for named in (*model.graph.input, *model.graph.node):
        if getattr(named, "name", "") == "trip_distance":
            named.name = LONG_NAME
        for position, name in enumerate(getattr(named, "input", ())):
            named.input[position] = LONG_NAME if name == "trip_distance" else name
    trips = make_trips(400, seed=1).rename(columns={"trip_distance": LONG_NAME})
    features = (*TRIP_SCHEMA.features[:2], Feature(name=LONG_NAME, kind="numerical"))
    names = {"name": "long", "version": LONG_VERSION, "task": "regression", "onnx": model.SerializeToString()}
    publish_bundle(services.models_dir, trips, FeatureSchema(features=features), **names)


def predict(services: Services, records: int) -> None:
    for _ in range(records):
        requests.post(f"{services.prediction_url}/predict", json=TRIP, timeout=10).raise_for_status()


def exposition(url: str) -> str:
    answer = requests.get(f"{url}/metrics", timeout=10)
    answer.raise_for_status()
    return answer.text


def by_model(url: str) -> Mapping[tuple[str, str], float]:
    """Values by name and model ("" where a metric has none); of several series of a model, one."""
    return {
        (sample.name, sample.labels.get("model", "")): sample.value
        for family in text_string_to_metric_families(exposition(url))
        for sample in family.samples
    }


def urls(services: Services) -> list[str]:
    return [services.prediction_url, services.relay_url, services.monitoring_url]


@needs_promtool
@pytest.mark.parametrize("service", ["prediction", "relay", "monitoring"])
def test_promtool_finds_nothing_to_complain_of(services: Services, service: str) -> None:
    text = exposition(getattr(services, f"{service}_url"))
    command = ["promtool", "check", "metrics"]
    checked = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


def test_names_of_a_thousand_characters_are_shared_by_the_workers_unharmed(services: Services) -> None:
    (family,) = [
        family
        for family in text_string_to_metric_families(exposition(services.prediction_url))
        if family.name == "sextant_rejected_values"
    ]
    labels = {"model": "long", "version": LONG_VERSION, "feature": LONG_NAME}
    assert [sample.value for sample in family.samples if sample.labels == labels] == [1]


def test_no_service_has_a_series_beside_each_counter_that_nobody_reads(services: Services) -> None:
    for url in urls(services):
        assert "_created" not in exposition(url)


def test_every_service_tells_of_its_processes(services: Services) -> None:
    for url in urls(services):
        found = by_model(url)
        for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds"):
            assert found[f"process_{name}", ""] > 0
        assert found["process_open_fds", ""] < found["process_max_fds", ""]


def test_cpu_time_grows_with_load_for_the_processes_and_for_the_model_that_was_asked(services: Services) -> None:
    before, relay = by_model(services.prediction_url), by_model(services.relay_url)
    predict(services, 300)
    after = by_model(services.prediction_url)

    def grown(name: str, model: str) -> float:
        return after[name, model] - before.get((name, model), 0.0)

    used = grown("sextant_prediction_cpu_seconds_total", "taxi")
    assert 0 < used < grown("process_cpu_seconds_total", "")
    assert grown("sextant_prediction_cpu_seconds_total", "long") == 0
    assert after["sextant_cpu_price_per_hour", ""] == 0.04
    cpu = "process_cpu_seconds_total", ""
    wait_until(lambda: by_model(services.relay_url)[cpu] > relay[cpu], "the relay to work")


def test_cpu_time_of_all_processes_never_falls_when_a_worker_is_killed(services: Services) -> None:
    (prediction,) = [program for program in services.programs if "prediction_service" in program.command]
    cpu = "process_cpu_seconds_total", ""
    read = [by_model(services.prediction_url)[cpu]]
    victim = prediction.children()[0]
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        with suppress(requests.RequestException):  # the request that the worker had when it was killed
            read.append(by_model(services.prediction_url)[cpu])
        return victim not in prediction.children() and len(prediction.children()) == 3

    wait_until(replaced, "another worker")
    predict(services, 10)
    read.append(by_model(services.prediction_url)[cpu])
    assert read == sorted(read)


def test_the_public_addresses_are_told(services: Services) -> None:
    (line,) = [
        line for line in exposition(services.monitoring_url).splitlines() if line.startswith("sextant_links")
    ]
    assert 'live_page="http://127.0.0.1:8085"' in line
    assert 'grafana="http://127.0.0.1:3000"' in line
    assert line.endswith(" 1.0")
