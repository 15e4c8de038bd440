"""The table of doors in docs/doors.md is what the services do: each route is asked for without a key."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from werkzeug.test import Client

from batch_flows.reports.server import DOORS as REPORTS_DOORS
from batch_flows.reports.server import reports_server
from monitoring_service.app import DOORS as MONITORING_DOORS
from monitoring_service.app import create_app as create_monitoring_app
from monitoring_service.service import MonitoringService
from prediction_service.app import DOORS as PREDICTION_DOORS
from prediction_service.app import create_app as create_prediction_app
from prediction_service.live_models import LiveModels
from prediction_service.metrics import Metrics
from prediction_service.relay_http import DOORS as RELAY_DOORS
from prediction_service.relay_http import relay_app
from prediction_service.service import PredictionService
from sextant.infrastructure.doors import ANY_KEY, FEEDBACK, METRICS, OPEN, PREDICT, READ, Door
from sextant.infrastructure.keys import Key, KeyRing, digest_of
from sextant.infrastructure.settings import load_settings
from tests.bundles import publish_trips
from tests.conftest import publish_real_bundles
from tests.monitoring_harness import FakeStore
from tests.prediction_client import FakeEventLog
from tests.processes import TOKEN

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.compile(r"^\| (prediction|relay|monitoring|reports) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
PORTS = re.compile(r"^\| (\d+) \| .+? \| .+? \| (yes|no) \|$", re.MULTILINE)
SAID: Mapping[str, Door] = {
    "`predict`": PREDICT,
    "`feedback`": FEEDBACK,
    "`read`": READ,
    "any": ANY_KEY,
    "`read`, Prometheus' own key": METRICS,
    "none": OPEN,
    "the relay's secret": OPEN,
}
SCOPES = ("predict", "feedback", "read", "admin", "metrics")
KEYS = KeyRing(Key(scope, digest_of(scope), frozenset({scope})) for scope in SCOPES)
Ask = Callable[[str, str, str], int]
"""The status for a method, an address and a key."""


def rows() -> dict[str, dict[str, tuple[str, str]]]:
    """By service and route: the scope, and what happens without a key."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for service, route, scope, without in TABLE.findall((ROOT / "docs" / "doors.md").read_text()):
        found.setdefault(service, {})[route.partition(",")[0].strip("`")] = (scope, without)
    return found


def doors_of(service: str) -> dict[str, Door]:
    return {route: SAID[scope] for route, (scope, _) in rows()[service].items()}


@pytest.fixture(scope="module")
def prediction(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("models")
    publish_real_bundles(folder)
    models = LiveModels(folder)
    service = PredictionService(models, FakeEventLog(), "taxi", max_record_bytes=1_024)
    return create_prediction_app(load_settings(), service, Metrics(), keys=KEYS).test_client()


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("data")
    publish_trips(folder / "models", rows=200)
    settings = load_settings(data_dir=folder)
    return create_monitoring_app(
        settings, MonitoringService(settings, FakeStore()), TOKEN, keys=KEYS
    ).test_client()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("reports")
    (folder / "r.html").write_text("a report")
    with reports_server(folder, "127.0.0.1", 0, KEYS) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(service: str, request: pytest.FixtureRequest) -> Ask:
    if service == "reports":
        port = request.getfixturevalue("reports")

        def over_http(method: str, address: str, key: str) -> int:
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, address, headers={"X-API-Key": key})
            status = connection.getresponse().status
            connection.close()
            return status

        return over_http
    in_process = service in ("prediction", "monitoring")
    client: Client = (
        request.getfixturevalue(service) if in_process else Client(relay_app(CollectorRegistry(), KEYS))
    )
    return lambda method, address, key: client.open(address, method=method, headers={"X-API-Key": key}).status_code


def test_the_table_lists_every_route_of_the_services(prediction: FlaskClient, monitoring: FlaskClient) -> None:
    for service, client, doors in (
        ("prediction", prediction, PREDICTION_DOORS),
        ("monitoring", monitoring, MONITORING_DOORS),
    ):
        routes = {rule.rule for rule in client.application.url_map.iter_rules()}
        assert set(rows()[service]) == routes
        assert doors_of(service) == doors
    assert doors_of("relay") == RELAY_DOORS
    assert doors_of("reports") == {**REPORTS_DOORS, "all files": READ}


@pytest.mark.parametrize("service", ["prediction", "relay", "monitoring", "reports"])
def test_each_route_opens_for_its_scopes_alone(service: str, ask: Ask) -> None:
    for route, (scope, without) in rows()[service].items():
        door = SAID[scope]
        method = "POST" if route.endswith(("/predict", "/feedback", "/events")) else "GET"
        address = (
            "/r.html"
            if route == "all files"
            else "/assets/none.js"
            if route == "/assets/"
            else re.sub(r"<.+?>", "x", route)
        )
        for key in ("", "wrong"):
            assert (ask(method, address, key) == 401) == without.startswith("401"), (route, key)
        if door is None:
            continue
        for key in SCOPES:
            opens = key in door or key == "admin"
            assert (ask(method, address, key) == 403) != opens, (route, key)


@pytest.mark.parametrize("service", ["prediction", "monitoring"])
def test_what_does_not_exist_is_told_to_administrators_alone(service: str, ask: Ask) -> None:
    assert [ask("GET", "/secret", key) for key in ("", "predict", "read", "admin")] == [401, 403, 403, 404]


def test_the_table_of_ports_says_which_compose_publishes() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    ports = [port for service in services for port in service.get("ports", [])]
    published = {port.rsplit(":", 2)[1] for port in ports if "PROXY_HOST" not in port}
    said = dict(PORTS.findall((ROOT / "docs" / "doors.md").read_text()))
    assert {port for port, answer in said.items() if answer == "yes"} == published
