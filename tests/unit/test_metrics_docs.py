"""docs/metrics.md states every metric as the services answer it, and no more series than it states."""

import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from flask.testing import FlaskClient
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from docs.metrics import CREATED, PAGE, SIZES, Described, described, page, parse
from monitoring_service.calibrator import Calibrator
from prediction_service.app import create_app
from prediction_service.live_models import LiveModels
from prediction_service.metrics import CpuPrice, Metrics
from prediction_service.outbox import Outbox
from prediction_service.process_metrics import ProcessesCollector
from prediction_service.relay_metrics import RelayMetrics
from prediction_service.service import PredictionService
from sextant.contracts.model_bundle import MANIFEST
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation.drift import multivariate, null_scores
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.segments import LONGEST_VALUE
from sextant.infrastructure.settings import load_settings
from tests.bundles import TRIP_SCHEMA, make_flowers, make_trips, publish_bundle, publish_flowers, publish_trips
from tests.conftest import publish_real_bundles
from tests.events import body_of, predictions_from, targets_from
from tests.monitoring_harness import FakeStore, Harness

TRIP = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
FLEET = {**SIZES, "models": 2, "versions": 1, "features": 3, "segments": 4, "measures": 7}
"""Of the tests: taxi and iris; taxi's three features, and its three payment types with all others."""

ODD_COLUMN = 'pay"ment\\type\n' + "é" * 500
ODD_VALUES = ('"', "\\", "a\nb", "\\n", 'x"} 1\n', "tab\tand\rreturn", "zażółć 😀 \u2028", "q" * 1_000, "{}=,", "")
LONG_NAME = "distance_" + "x" * 991

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")


class NullLog:
    def append(self, events: object) -> None:
        pass


def prediction_client(models_dir: Path) -> FlaskClient:
    metrics = Metrics(at_scrape=[ProcessesCollector(os.getpid()), CpuPrice(0.04)])
    service = PredictionService(LiveModels(models_dir), NullLog(), "taxi", max_record_bytes=1_000)
    client = create_app(load_settings(api_keys="key"), service, metrics).test_client()
    client.environ_base["HTTP_X_API_KEY"] = "key"
    return client


def ask(client: FlaskClient, name: str) -> None:
    """Requests of every outcome, each with something of this name that no bundle knows."""
    client.post("/predict", json={**TRIP, name: 1, "PULocationID": name})
    client.post("/predict", json={**TRIP, "trip_distance": name, name: name})
    client.post(f"/models/{name}/predict", json=TRIP)
    client.post("/predict", json=TRIP, headers={"X-API-Key": name})
    client.post("/feedback", json={"prediction_id": "a", "target": 1})
    client.post("/feedback", json={"prediction_id": "a", "target": 1, "model": name})


@pytest.fixture(scope="module")
def prediction(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    models_dir = tmp_path_factory.mktemp("served")
    publish_real_bundles(models_dir)
    client = prediction_client(models_dir)
    ask(client, "unknown")
    return client


def harness_in(folder: Path) -> Harness:
    return Harness(load_settings(data_dir=folder, window_size=300, window_min_rows=100), FakeStore())


def learn_everything(harness: Harness, folder: Path) -> None:
    """What a reference can tell, from few resamples: which series there are matters here, not their values."""
    cache = CalibrationCache(folder / "calibration")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multivariate, "BATCHES", 1)
        patch.setattr(multivariate, "BATCH", 2)
        patch.setattr(null_scores, "RESAMPLES", 50)
        Calibrator(harness.service.monitors, cache, false_alarm_rate=0.1, stop=threading.Event()).run()


def judge(harness: Harness) -> None:
    harness.evaluator.run()
    harness.together.run()


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """Both models judged, with targets, a column that cannot be and an event that is refused."""
    folder = tmp_path_factory.mktemp("watched")
    publish_trips(folder / "models", rows=300)
    publish_flowers(folder / "models", rows=300)
    harness = harness_in(folder)
    learn_everything(harness, folder)
    trips, flowers = make_trips(200, seed=5), make_flowers(200, seed=5).assign(petal_width=None)
    trips.loc[:50, "payment_type"] = "unknown"
    for model, rows in (("taxi", trips), ("iris", flowers)):
        predictions = predictions_from(rows, model=model, prefix=model)
        harness.post(body_of(predictions, targets_from(rows, predictions)))
    harness.post(body_of(predictions_from(trips[:1], model="unknown", prefix="u")))
    judge(harness)
    return harness


@pytest.fixture(scope="module")
def scrapes(
    prediction: FlaskClient, monitoring: Harness, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    outbox = tmp_path_factory.mktemp("outbox") / "outbox.db"
    with closing(RelayMetrics(lambda: Outbox(outbox, 1 << 20), 1 << 20)) as relay:
        return {
            "prediction": prediction.get("/metrics").text,
            "relay": generate_latest(relay.registry).decode(),
            "monitoring": monitoring.client.get("/metrics").text,
        }


def series_of(text: str) -> Counter[str]:
    """How many series each metric has."""
    names = (
        family.name + "_total" * (family.type == "counter") for family in families(text) for _ in family.samples
    )
    return Counter(names)


def families(text: str) -> list:
    return [family for family in text_string_to_metric_families(text) if not family.name.endswith(CREATED)]


def samples(text: str) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    for family in families(text):
        yield from ((sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples)


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "run: python -m docs.metrics"


def test_every_metric_that_a_service_answers_stands_in_the_page_as_it_is(scrapes: Mapping[str, str]) -> None:
    stated = {(metric.service, metric.name): metric for metric in described()}
    for service, text in scrapes.items():
        for answered in parse(service, text):
            assert answered.help
            assert answered == stated.pop((service, answered.name))
    assert not stated


def test_every_metric_of_the_page_has_a_value_after_an_evaluation_with_labels(scrapes: Mapping[str, str]) -> None:
    answered = {(service, name) for service, text in scrapes.items() for name in series_of(text)}
    assert {(metric.service, metric.name) for metric in described()} - answered == set()


@pytest.mark.parametrize("metric", described(), ids=lambda metric: f"{metric.service}-{metric.name}")
def test_no_metric_has_more_series_than_the_page_states(metric: Described, scrapes: Mapping[str, str]) -> None:
    assert series_of(scrapes[metric.service])[metric.name] <= metric.most_series(FLEET)


@pytest.mark.parametrize("label", ["check", "outcome", "sink", "task"])
def test_a_label_with_few_values_has_those_of_the_page(label: str, scrapes: Mapping[str, str]) -> None:
    (row,) = re.findall(rf"^\| `{label}` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    found = {dict(labels).get(label) for text in scrapes.values() for _, labels in samples(text)} - {None}
    assert found <= set(re.findall(r"`(\w+)`", row))


def test_hundreds_of_unknown_names_in_requests_make_no_series(prediction: FlaskClient) -> None:
    before = set(samples(prediction.get("/metrics").text))
    for number in range(200):
        ask(prediction, f"unknown-{number}")
    assert set(samples(prediction.get("/metrics").text)) == before


def test_a_thousand_unknown_names_in_events_make_no_series(monitoring: Harness) -> None:
    before = set(samples(monitoring.client.get("/metrics").text))
    trips = make_trips(1_000, seed=6)
    made = predictions_from(trips, prefix="many")
    odd = [
        replace(p, features={**p.features, name: 1, "PULocationID": name}, context={"payment_type": name, name: 1})
        for p in made
        for name in [f"x{p.prediction_id}"]
    ]
    assert monitoring.post(body_of(odd, targets_from(trips, made)))["accepted"] == 2_000
    monitoring.post(body_of([replace(p, prediction_id=f"v{p.prediction_id}", model_version="v9") for p in made]))
    monitoring.post(body_of([replace(p, model=f"m{p.prediction_id}") for p in made]))
    judge(monitoring)
    added = set(samples(monitoring.client.get("/metrics").text)) - before
    assert added <= {("sextant_monitoring_events_total", (("outcome", "too_old"),))}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """A model whose feature, version and segments have the oddest names that a bundle allows, judged."""
    folder = tmp_path_factory.mktemp("odd")
    trips = with_odd_names(make_trips(400, seed=1))
    features = tuple(
        feature.model_copy(update={"name": LONG_NAME}) if feature.name == "trip_distance" else feature
        for feature in TRIP_SCHEMA.features
    )
    names = {"name": "taxi", "version": "v" * 200, "task": "regression"}
    bundle = publish_bundle(folder / "models", trips, FeatureSchema(features=features), **names)
    manifest = bundle.manifest.model_copy(update={"segments": (ODD_COLUMN,)})
    bundle.file(MANIFEST).write_text(manifest.model_dump_json())
    harness = harness_in(folder)
    window = with_odd_names(make_trips(300, seed=2))
    made = predictions_from(window.drop(columns=ODD_COLUMN), version="v" * 200)
    contexts = [{ODD_COLUMN: value} for value in window[ODD_COLUMN]]
    harness.post(body_of([replace(p, context=context) for p, context in zip(made, contexts, strict=True)]))
    judge(harness)
    return harness


def with_odd_names(trips: pd.DataFrame) -> pd.DataFrame:
    values = [ODD_VALUES[row % len(ODD_VALUES)] for row in range(len(trips))]
    renamed = trips.rename(columns={"trip_distance": LONG_NAME}).drop(columns="payment_type")
    return renamed.assign(**{ODD_COLUMN: values})


@pytest.mark.parametrize(
    ("accept", "parse_text"),
    [("text/plain", text_string_to_metric_families), ("application/openmetrics-text", openmetrics_families)],
)
def test_odd_label_values_come_back_as_they_were(odd: Harness, accept: str, parse_text) -> None:
    text = odd.client.get("/metrics", headers={"Accept": accept}).text
    found = {name: set() for name in ("feature", "version", "segment")}
    for family in parse_text(text):
        for sample in family.samples:
            for label in found.keys() & sample.labels.keys():
                found[label].add(sample.labels[label])
    assert LONG_NAME in found["feature"]
    assert "v" * 200 in found["version"]
    assert {f"{ODD_COLUMN}={value[:LONGEST_VALUE]}" for value in ODD_VALUES} <= found["segment"]


@needs_promtool
def test_promtool_accepts_odd_label_values(odd: Harness) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=odd.client.get("/metrics").data, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, b"")


def test_a_feature_may_be_named_with_nothing_that_needs_escaping() -> None:
    for name in ('a"b', "a\\b", "a\nb", "a\n", "é", ""):
        with pytest.raises(ValueError, match="pattern"):
            Feature(name=name, kind="numerical")
