"""What a client's bytes may do to the real servers: each gets an answer that says what is wrong, never a 500."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from tests.conftest import publish_real_bundles
from tests.fuzz.generated import fuzz
from tests.fuzz.table import Table
from tests.processes import AS_RELAY, TOKEN, Services, post_events, wait_until

TRIP = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sTransfer-Encoding: chunked\r\n\r\n"
WRONG_CHUNKS = {
    "size that is no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "chunk without its end": b"2\r\n{}XX0\r\n\r\n",
    "negative size": b"-1\r\n{}\r\n0\r\n\r\n",
    "cut off": b"ff\r\n{",
}
SLOW_CLIENTS = 60  # of each kind; more than there are threads in all workers
STARTS = (
    b"",
    b"POST /pre",
    b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
    HEAD % (b"/events", b"") + b"5\r\n{",
)
JSON = {"Content-Type": "application/json"}
KEY = b"".join(f"{name}: {value}\r\n".encode() for name, value in AS_RELAY.items())
Door = tuple[int, bytes]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, calibrations: Path) -> Iterator[dict[str, Door]]:
    """Port and path of each service's POST route."""
    services = Services(tmp_path_factory.mktemp("doors"), calibrations)
    publish_real_bundles(services.models_dir)
    prediction, monitoring = services.prediction(), services.monitoring()
    monitoring.ready = lambda: _listens(services.ports["monitoring"])  # without MongoDB it is not ready
    try:
        for program in (prediction, monitoring):
            program.start(wait=False)
        for program in (prediction, monitoring):
            program.wait_ready()
        yield {
            "prediction": (services.ports["prediction"], b"/predict"),
            "monitoring": (services.ports["monitoring"], b"/events"),
        }
    finally:
        services.stop_all()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def answer_to(door: Door, chunks: bytes, headers: bytes) -> bytes:
    """All that comes back for a chunked body; the client then sends no more, but still reads."""
    port, path = door
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(HEAD % (path, headers) + chunks)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65_536), b""))


def test_a_malformed_chunked_body_is_a_400_on_both_services(doors: dict[str, Door]) -> None:
    for name, door in doors.items():
        for case, chunks in WRONG_CHUNKS.items():
            answer = answer_to(door, chunks, KEY)
            assert answer.startswith(b"HTTP/1.1 400 "), (name, case, answer)
            assert b"application/problem+json" in answer, (name, case)


def test_a_body_of_any_size_gets_an_answer_instead_of_a_broken_connection(doors: dict[str, Door]) -> None:
    chunked = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    for name, (port, path) in doors.items():
        assert answer_to((port, path), chunked * 40 + b"0\r\n\r\n", KEY).startswith(b"HTTP/1.1 413 "), name
        client = HTTPConnection("127.0.0.1", port, timeout=30)
        client.request("POST", path.decode(), b"x" * (40 << 20), JSON | AS_RELAY)
        response = client.getresponse()
        assert (response.status, response.headers["Content-Type"]) == (413, "application/problem+json"), name
        assert "the limit for a request" in json.loads(response.read())["detail"]
        client.close()


def test_a_big_body_for_an_unknown_model_is_answered_too(doors: dict[str, Door]) -> None:
    port, _ = doors["prediction"]
    client = HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("POST", "/models/nope/predict", b"x" * (40 << 20), JSON)
    assert client.getresponse().status == 413
    client.close()


def test_nothing_that_a_client_sends_is_a_server_s_error_or_left_without_an_answer(doors: dict[str, Door]) -> None:
    """A few of the requests that `make fuzz` sends by the thousand."""
    table = Table()
    fuzz({name: port for name, (port, _) in doors.items()}, 100, 1, table)
    assert table.wrong == {}, table.text()


def test_slow_clients_stop_neither_prediction_nor_monitoring(doors: dict[str, Door]) -> None:
    with ExitStack() as clients:
        for port, _ in doors.values():
            for start in STARTS * SLOW_CLIENTS:
                client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                client.sendall(start)
        for _ in range(5):
            prediction, monitoring = (f"http://127.0.0.1:{port}" for port, _ in doors.values())
            assert requests.post(f"{prediction}/predict", json=TRIP, timeout=10).status_code == 200
            assert requests.get(f"{monitoring}/healthz", timeout=10).status_code == 200


def test_relay_and_monitoring_agree_on_a_secret_of_their_own_making_and_nobody_else_gets_in(
    services: Services,
) -> None:
    """The first start of both at once, with no setting for it."""
    prediction, relay = services.prediction(EVENTS_TOKEN=""), services.relay(EVENTS_TOKEN="")
    monitoring = services.monitoring(EVENTS_TOKEN="")
    monitoring.ready = lambda: _listens(services.ports["monitoring"])
    for program in (prediction, relay, monitoring):
        program.start(wait=False)
    for program in (prediction, relay, monitoring):
        program.wait_ready()
    assert post_events(services.monitoring_url, {}).status_code == 401
    requests.post(f"{services.prediction_url}/predict", json=TRIP, timeout=10).raise_for_status()
    drift = f"{services.monitoring_url}/models/taxi/drift"
    wait_until(lambda: requests.get(drift, timeout=10).json()["window"]["rows"] == 1, "the relay to be let in")


def test_a_relay_with_another_secret_keeps_its_events_until_it_has_the_right_one(services: Services) -> None:
    monitoring = services.monitoring()
    monitoring.ready = lambda: _listens(services.ports["monitoring"])
    programs = [monitoring, services.prediction(), services.relay(EVENTS_TOKEN=TOKEN[::-1])]
    for program in programs:
        program.start(wait=False)
    for program in programs:
        program.wait_ready()
    requests.post(f"{services.prediction_url}/predict", json=TRIP, timeout=10).raise_for_status()
    log = programs[-1].log
    wait_until(lambda: "monitoring returned 401" in log.read_text(), "the relay to be refused")
    programs[-1].stop()
    services.relay().start()
    drift = f"{services.monitoring_url}/models/taxi/drift"
    wait_until(lambda: requests.get(drift, timeout=10).json()["window"]["rows"] == 1, "the event to arrive")


def test_keys_come_into_force_and_out_of_it_while_all_workers_serve(services: Services) -> None:
    prediction, relay = services.prediction(RATE_LIMIT="1000/hour"), services.relay()
    for program in (prediction, relay):
        program.start(wait=False)
    for program in (prediction, relay):
        program.wait_ready()

    def statuses(key: str = "") -> set[int]:
        """What several workers say."""
        url = f"{services.prediction_url}/predict"
        asked = [requests.post(url, json=TRIP, headers={"X-API-Key": key}, timeout=10) for _ in range(6)]
        return {answer.status_code for answer in asked}

    def command(*arguments: str) -> str:
        run = [sys.executable, "-m", "sextant.keys", *arguments]
        environment = {**os.environ, **services.environment}
        return subprocess.run(run, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    assert statuses() == {200}
    key = command("add", "shop", "--scope", "predict")
    wait_until(lambda: statuses() == {401}, "the door to close")
    wait_until(lambda: statuses(key) == {200}, "the key to be known")
    token = (services.data_dir / "secrets" / "metrics-token").read_text().strip()
    for url in (services.prediction_url, services.relay_url):
        answers = [requests.get(f"{url}/metrics", headers=h, timeout=10) for h in ({}, bearer(key), bearer(token))]
        assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert (
        'sextant_key_requests_total{key="shop",outcome="accepted"}'
        in requests.get(f"{services.prediction_url}/metrics", headers=bearer(token), timeout=10).text
    )
    command("remove", "shop")
    wait_until(lambda: statuses(key) == {401}, "the key to be refused")
    log = prediction.log.read_text()
    assert '"key":"shop"' in log
    assert key not in log


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "module", ["prediction_service", "prediction_service.relay", "batch_flows.reports.server"]
)
def test_a_service_that_others_can_reach_does_not_start_without_keys(services: Services, module: str) -> None:
    environment = {**os.environ, **services.environment, "BIND_HOST": "0.0.0.0"}  # noqa: S104 - refused
    done = subprocess.run(
        [sys.executable, "-m", module], env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1
    assert "BIND_HOST 0.0.0.0 lets others in" in said[0]
