"""kill -9 of any process under load loses no acknowledged prediction and doubles none."""

import json
import os
import signal
import socket
import threading
from contextlib import ExitStack
from functools import partial

import requests
from prometheus_client.parser import text_string_to_metric_families

from prediction_service.outbox import Outbox
from prediction_service.outbox_lock import SharedLock
from sextant.infrastructure.event_store import EventStore
from tests.processes import Program, Services, wait_until

TRIP = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
BEFORE, AFTER = 150, 150


class Load:
    """Clients that post one record after another and remember what was acknowledged."""

    def __init__(self, url: str, clients: int = 3) -> None:
        self._url = url
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = requests.post(f"{self._url}/predict", json=TRIP, timeout=10)
            except requests.RequestException:  # not acknowledged: nothing is promised
                self._stop.wait(0.05)
                continue
            if answer.status_code == 200:
                self.acknowledged.append(answer.json()["prediction_id"])

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self.threads:
            thread.join(30)


def relay_metrics(services: Services) -> dict[tuple[str, str], float]:
    text = requests.get(f"{services.relay_url}/metrics", timeout=10).text
    return {
        (sample.name, sample.labels["sink"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "sink" in sample.labels
    }


def drained(services: Services, sink: str) -> bool:
    try:
        return relay_metrics(services)["sextant_outbox_events", sink] == 0
    except requests.RequestException:
        return False


def kill_one_worker(prediction: Program) -> None:
    os.kill(prediction.children()[0], signal.SIGKILL)


VICTIMS = ("prediction worker", "prediction service", "relay", "mongo", "monitoring")


def test_killing_one_process_after_the_other_under_load_loses_and_doubles_nothing(services):
    programs = {
        "mongo": services.mongo().start(wait=False),
        "monitoring": services.monitoring().start(wait=False),
        "prediction service": services.prediction().start(wait=False),
        "relay": services.relay().start(wait=False),
    }
    for program in programs.values():
        program.wait_ready()

    with Load(services.prediction_url) as load:
        wait_until(lambda: len(load.acknowledged) >= BEFORE, "load before the first kill")
        for victim in VICTIMS:
            if victim == "prediction worker":
                kill_one_worker(programs["prediction service"])  # gunicorn starts another by itself
            else:
                programs[victim].kill()
                programs[victim].start()
            count = len(load.acknowledged)
            wait_until(lambda: len(load.acknowledged) >= count + AFTER, f"load after the kill of {victim}")  # noqa: B023

    wait_until(lambda: drained(services, "mongodb") and drained(services, "monitoring"), "the outbox to drain")
    store = EventStore.connect(services.mongodb_uri, "sextant")
    stored = list(store.prediction_ids())
    store.close()
    assert set(load.acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    # A request that was cut off may be stored without having been acknowledged, but no more than were under way.
    assert len(stored) - len(load.acknowledged) <= len(load.threads) * len(VICTIMS)
    metrics = relay_metrics(services)
    for sink in ("mongodb", "monitoring"):
        parts = (
            "sextant_events_delivered_total",
            "sextant_events_dead_lettered_total",
            "sextant_events_skipped_total",
        )
        accounted = sum(metrics[part, sink] for part in parts) + metrics["sextant_outbox_events", sink]
        assert metrics["sextant_events_accepted_total", sink] == accounted == len(stored)


def test_a_stopped_service_finishes_what_it_has_begun(services):
    prediction, relay, mongo = services.prediction(), services.relay(), services.mongo()
    for program in (mongo, prediction, relay):
        program.start()
    with Load(services.prediction_url) as load:
        wait_until(lambda: len(load.acknowledged) >= BEFORE, "load before the stop")
        assert prediction.stop() == 0
    wait_until(lambda: drained(services, "mongodb"), "the outbox to drain")
    store = EventStore.connect(services.mongodb_uri, "sextant")
    assert set(load.acknowledged) <= set(store.prediction_ids())
    store.close()
    assert relay.stop() == 0


def test_a_frozen_process_that_holds_the_outbox_stops_no_request_for_good(services):
    services.prediction(PREDICTION_WORKERS="1").start()
    lock = SharedLock(services.data_dir / "outbox" / "outbox.db")
    with lock:
        answer = requests.post(f"{services.prediction_url}/predict", json=TRIP, timeout=60)
        assert answer.status_code == 503
        assert "another process has held the outbox" in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
        assert requests.get(f"{services.prediction_url}/healthz", timeout=60).ok
        ready = requests.get(f"{services.prediction_url}/readyz", timeout=60)
        assert (ready.status_code, "outbox" in ready.text) == (503, True)
    assert requests.post(f"{services.prediction_url}/predict", json=TRIP, timeout=60).ok
    with lock:
        refused = [
            answer for answer in at_once(services.ports["prediction"], 200) if b"requests are waiting" in answer
        ]
    assert len(refused) >= 50
    assert all(answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in answer for answer in refused)


def at_once(port: int, count: int) -> list[bytes]:
    """The answers to so many requests, whose last bytes come at the same moment."""
    body = json.dumps(TRIP).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with ExitStack() as stack:
        address = ("127.0.0.1", port)
        clients = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(count)]
        for client in clients:
            client.sendall(request[:-1])
        for client in clients:
            client.sendall(request[-1:])
        return [b"".join(iter(partial(client.recv, 65_536), b"")) for client in clients]


def test_workers_that_start_while_the_outbox_is_held_wait_for_it(services):
    lock = SharedLock(Outbox(services.data_dir / "outbox" / "outbox.db", 1 << 20).path)
    prediction = services.prediction()
    with lock:
        prediction.start(wait=False)
        wait_until(lambda: "waiting for the outbox" in prediction.log.read_text(), "the service to say why")
    prediction.wait_ready()
