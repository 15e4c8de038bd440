"""What the prediction service counts."""

import pytest

from prediction_service.metrics import CpuPrice, Metrics
from tests.prediction_client import TRIP, make_client

CPU_SECONDS = "sextant_prediction_cpu_seconds_total"


def test_metrics_count_by_model_version_and_outcome(client, metrics):
    client.post("/predict", json=[TRIP, TRIP])
    client.post("/predict", json={})
    client.post("/models/nope/predict", json=TRIP)

    def count(**labels):
        return metrics.registry.get_sample_value("sextant_predictions_total", labels)

    assert count(model="taxi", version="v1", outcome="ok") == 2
    assert count(model="taxi", version="v1", outcome="invalid") == 1
    assert count(model="", version="", outcome="invalid") == 1
    text = client.get("/metrics").text
    assert 'sextant_model_info{model="iris",task="classification",version="v1"} 1.0' in text


def test_the_cpu_time_of_requests_is_counted_for_their_model(client, metrics):
    client.post("/predict", json=TRIP)
    client.post("/predict", json={})
    once = metrics.registry.get_sample_value(CPU_SECONDS, {"model": "taxi", "version": "v1"})
    client.post("/predict", json=[TRIP] * 500)
    both = metrics.registry.get_sample_value(CPU_SECONDS, {"model": "taxi", "version": "v1"})
    assert 0 < once < both < 10
    assert metrics.registry.get_sample_value(CPU_SECONDS, {"model": "iris", "version": "v1"}) is None


@pytest.mark.parametrize(("price", "line"), [(0.05, "\nsextant_cpu_price_per_hour 0.05\n"), (0.0, None)])
def test_the_price_of_a_cpu_hour_is_there_where_it_is_set(models, log, price, line):
    page = make_client(models, log, Metrics(at_scrape=[CpuPrice(price)])).get("/metrics").text
    assert line in page if line else "price" not in page


def rejected_values(metrics):
    return {
        (sample.labels["model"], sample.labels["version"], sample.labels["feature"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "sextant_rejected_values_total"
    }


def test_each_wrong_feature_of_each_refused_record_is_counted(client, metrics):
    lacks_zone = {"DOLocationID": 1, "trip_distance": "far"}
    client.post("/predict", json=[TRIP, {**TRIP, "trip_distance": 1e300}, TRIP, lacks_zone])
    client.post("/models/iris/predict", json={"petal_length": 1.5, "petal_width": None})
    assert rejected_values(metrics) == {
        ("taxi", "v1", "trip_distance"): 2,
        ("taxi", "v1", "PULocationID"): 1,
        ("iris", "v1", "petal_width"): 1,
    }


@pytest.mark.parametrize(
    "body",
    [
        TRIP,
        {**TRIP, "PULocationID": "atlantis"},
        {**TRIP, "prediction_id": ""},
        [{**TRIP, "prediction_id": "a"}] * 2,
        {**TRIP, "f0": 2**63},
        {**TRIP, "note": {"trip_distance": 2**63}},
        [TRIP, 7],
        [],
    ],
)
def test_only_wrong_features_are_counted_so_that_clients_make_no_new_series(client, metrics, body):
    client.post("/predict", json=body)
    assert rejected_values(metrics) == {}
