"""The real monitoring process takes events while it evaluates, however long an evaluation lasts."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from sextant.contracts.schema import Feature, FeatureSchema
from tests.bundles import make_trips, publish_bundle
from tests.events import body_of, predictions_from, targets_from
from tests.processes import Services, answers, post_events, wait_until

SLOW = "empirical_mmd"
"""A stat test that resamples at every call, so that an evaluation lasts far longer than a POST."""

SCHEMA = FeatureSchema(
    features=(
        Feature(name="PULocationID", kind="categorical"),
        Feature(name="DOLocationID", kind="categorical"),
        Feature(name="trip_distance", kind="numerical", drift_method=SLOW),
    )
)
WINDOW = {"WINDOW_SIZE": "100", "WINDOW_MIN_ROWS": "50", "EVALUATE_EVERY": "0.01"}
EVENTS = 10  # in each POST
EVALUATIONS = 20
"""How many may pass until one shows it: a machine that something else holds up answers few POSTs in each."""


@dataclass(frozen=True)
class Span:
    """A stretch of time, by the wall clock in seconds."""

    start: float
    end: float

    def holds(self, other: "Span") -> bool:
        return self.start < other.start and other.end < self.end


def last_evaluation(services: Services) -> Span | None:
    """When the newest evaluation began and ended, by the process itself."""
    text = requests.get(f"{services.monitoring_url}/metrics", timeout=60).text
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("model") == "taxi"
    }
    began = values.get("sextant_last_evaluation_timestamp_seconds")
    return None if began is None else Span(began, began + values["sextant_evaluation_duration_seconds"])


def trip_batches() -> Iterator[dict[str, object]]:
    """Bodies of POST /events without end, each later than the one before."""
    start = datetime.now(UTC) - timedelta(days=1)
    frame = make_trips(EVENTS, seed=3)
    for number in itertools.count():
        later = start + timedelta(seconds=number * EVENTS)
        predictions = predictions_from(frame, version="v2", start=later, prefix=f"{number:06}-")
        yield body_of(predictions, targets_from(frame, predictions))


@pytest.fixture
def services(tmp_path: Path, few_resamples: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Services whose thresholds come from next to no resamples: a slow method takes minutes for them."""
    monkeypatch.setattr("sextant.evaluation.drift.null_scores.RESAMPLES_OF_EVIDENTLY", 2)
    services = Services(tmp_path, tmp_path / "calibrations")
    (tmp_path / "calibrations").mkdir()
    yield services
    services.stop_all()


def test_events_are_taken_while_an_evaluation_is_under_way(services: Services) -> None:
    reference = make_trips(400, seed=1)
    publish_bundle(services.models_dir, reference, SCHEMA, name="taxi", version="v2", task="regression")
    program = services.monitoring(**WINDOW)
    program.ready = lambda: answers(f"{services.monitoring_url}/healthz")
    program.start()
    batches = trip_batches()
    session = requests.Session()

    def post() -> Span:
        body, began = next(batches), time.time()
        response = post_events(services.monitoring_url, body, timeout=60, via=session)
        assert response.json()["accepted"] == 2 * EVENTS, response.text
        return Span(began, time.time())

    for _ in range(20):
        post()
    wait_until(lambda: last_evaluation(services), "a first evaluation")

    def answered_within_the_next_evaluation() -> int:
        posts = [post()]
        while (evaluation := last_evaluation(services)).start < posts[0].start:
            posts += [post() for _ in range(5)]
        return sum(evaluation.holds(span) for span in posts)

    # An evaluation that kept the door shut would let none through, or one that slipped in as it began.
    counts = itertools.islice(iter(answered_within_the_next_evaluation, None), EVALUATIONS)
    assert any(count >= 3 for count in counts)
