"""Clients of a prediction service, for tests that need traffic while something else is looked at."""

import itertools
import threading

import numpy as np
import requests

from tests.bundles import TRIP_SCHEMA, make_trips

BATCH = 30
PAUSE_SECONDS = 1.0


class Traffic:
    """Trips and, at once, their targets, from a thread; `distance_factor` other than 1 makes them drift."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.distance_factor = 1.0
        self.accepted = 0

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        with requests.Session() as session:
            for seed in itertools.count(100):
                self._send(session, seed)
                if self._stop.wait(PAUSE_SECONDS):
                    return

    def _send(self, session: requests.Session, seed: int) -> None:
        trips = make_trips(BATCH, seed=seed, distance_factor=self.distance_factor)
        records = trips[[*TRIP_SCHEMA.names, "payment_type"]].to_dict("records")
        answer = session.post(f"{self._url}/predict", json=records, timeout=30)
        assert answer.ok, answer.text
        noise = np.random.default_rng(seed).normal(0.0, 3.0, BATCH)
        feedback = [
            {"prediction_id": made["prediction_id"], "target": max(1.0, made["prediction"] + error)}
            for made, error in zip(answer.json()["predictions"], noise, strict=True)
        ]
        assert session.post(f"{self._url}/feedback", json=feedback, timeout=30).status_code == 202
        self.accepted += BATCH
