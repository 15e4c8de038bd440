"""A monitoring process that is killed again and again ends where one left alone ends, to the last byte."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import requests

from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.event_store import EventStore
from tests.bundles import make_trips, publish_trips
from tests.events import body_of, predictions_from, targets_from
from tests.processes import Program, Services, answers, free_port, post_events, wait_until

SETTINGS = {"WINDOW_SIZE": "500", "WINDOW_MIN_ROWS": "100", "EVALUATE_EVERY": "0.5", "MULTIVARIATE_EVERY": "0.5"}
BATCH = 50
SLOWEST = 60.0  # seconds: two services evaluate without a pause
VERSION = "small"  # so that thresholds are found within seconds


@pytest.mark.timeout(600)
def test_a_killed_service_catches_up_to_the_same_window_and_scores(services: Services) -> None:
    publish_trips(services.models_dir, version=VERSION, rows=400)
    services.mongo().start()
    store = EventStore.connect(services.mongodb_uri, "sextant")
    store.ensure_indexes()
    left_alone, killed = (monitoring_on(services, free_port()) for _ in range(2))
    for program, url in (left_alone, killed):
        program.ready = lambda url=url: answers(f"{url}/readyz")
        program.start()
    program, url = killed
    for number, (predictions, targets) in enumerate(batches()):
        store.add_predictions(predictions)
        store.add_targets(targets)
        send(left_alone[1], predictions, targets)
        if number % 7 == 3:  # in the middle of the stream, before and after the window has filled
            program.kill()
            program.start(wait=False)
        wait_until(lambda: delivered(url, predictions, targets), "the killed service to take the batch")  # noqa: B023
    store.close()
    said: list[dict[str, Any]] = []

    def agree() -> bool:
        said[:] = [drift(left_alone[1]), drift(url)]
        return is_complete(said[0], predictions[-1]) and same(*said)

    with suppress(AssertionError):
        wait_until(agree, "both to say the same", SLOWEST)
    expected, found = said
    assert is_complete(expected, predictions[-1])
    assert expected["window"]["rows"] == 500
    assert expected["window"]["label_coverage"] > 0.5
    assert same(expected, found)


def monitoring_on(services: Services, port: int) -> tuple[Program, str]:
    return services.monitoring(MONITORING_PORT=str(port), **SETTINGS), f"http://127.0.0.1:{port}"


def batches() -> list[tuple[list[Prediction], list[Target]]]:
    """1,000 predictions that begin to drift, each batch with the targets of an earlier one."""
    frame = make_trips(1_000, seed=3)
    frame.loc[600:, "trip_distance"] *= 1.4
    predictions = predictions_from(frame, version=VERSION, start=datetime.now(UTC) - timedelta(hours=1))
    targets = targets_from(frame, predictions, delay=300.0)
    starts = range(0, len(predictions), BATCH)
    return [
        (predictions[at : at + BATCH], targets[max(at - 3 * BATCH, 0) : max(at - 2 * BATCH, 0)]) for at in starts
    ]


def send(url: str, predictions: list[Prediction], targets: list[Target]) -> None:
    response = post_events(url, body_of(predictions, targets))
    assert response.status_code == 202, response.text


def delivered(url: str, predictions: list[Prediction], targets: list[Target]) -> bool:
    """As the relay does it: tried again until it is taken, though it may have been taken before."""
    try:
        send(url, predictions, targets)
    except requests.RequestException:
        return False
    return True


def drift(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"{url}/models/taxi/drift", timeout=10).json()
    return answer


def is_complete(found: dict[str, Any], last: Prediction) -> bool:
    """Whether everything that is found out in the background is known, for the window that ends with this row."""
    verdicts = found["verdicts"]
    large = {name for name, segment in found["segments"].items() if segment["rows"] > 100}
    return bool(
        found["calibrated"]
        and last.created_at - datetime.fromisoformat(found["window"]["end"]) < timedelta(milliseconds=1)
        and any(v["name"] == "multivariate_drift" and v["threshold"] is not None for v in verdicts)
        and "estimated_mae" in found["measures"][""]
        and all(
            v["detected"] is not None for v in verdicts if v["name"] == "segment_drift" and v["segment"] in large
        )
    )


def same(expected: dict[str, Any], found: dict[str, Any]) -> bool:
    return without_times(expected) == without_times(found)


def without_times(found: dict[str, Any]) -> bytes:
    return orjson.dumps({name: value for name, value in found.items() if not name.endswith("evaluated_at")})
