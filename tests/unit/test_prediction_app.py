"""The prediction service's routes, asked through Flask's client with a hand-written event log."""

import json
from collections.abc import Sequence

import orjson
import pytest
import structlog

from prediction_service.app import create_app
from prediction_service.errors import OutboxFull
from prediction_service.live_models import LiveModels
from prediction_service.metrics import CpuPrice, Metrics
from prediction_service.outbox_types import NewEvent
from prediction_service.rate_limit import RateLimit
from prediction_service.service import PredictionService
from sextant.infrastructure.keys import Key, KeyRing, digest_of
from sextant.infrastructure.settings import load_settings
from tests.conftest import publish_real_bundles

TRIP = {"PULocationID": 74, "DOLocationID": "41", "trip_distance": 2.0}
PROBLEM = "application/problem+json"
CPU_SECONDS = "sextant_prediction_cpu_seconds_total"


class FakeEventLog:
    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.full = False

    def append(self, events: Sequence[NewEvent]) -> None:
        if self.full:
            raise OutboxFull("the outbox has reached its limit")
        self.events.extend(events)

    @property
    def bodies(self) -> list[dict]:
        return [orjson.loads(event.body) for event in self.events]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    publish_real_bundles(folder)
    return LiveModels(folder)


@pytest.fixture
def log():
    return FakeEventLog()


@pytest.fixture
def metrics():
    return Metrics()


def make_client(models, log, metrics, **settings):
    loaded = load_settings(**settings)
    service = PredictionService(models, log, "taxi", max_record_bytes=loaded.max_record_bytes)
    return create_app(loaded, service, metrics).test_client()


@pytest.fixture
def client(models, log, metrics):
    return make_client(models, log, metrics)


def test_a_record_is_answered_and_logged(client, log):
    answer = client.post("/predict", json=TRIP)
    assert answer.status_code == 200
    assert answer.json["prediction"] == pytest.approx(13.0)
    assert (answer.json["model"], answer.json["model_version"]) == ("taxi", "v1")
    (event,) = log.bodies
    assert event["prediction_id"] == answer.json["prediction_id"]
    assert event["features"] == {"PULocationID": "74", "DOLocationID": "41", "trip_distance": 2.0}


def test_a_classifier_answers_with_a_probability_for_each_class(client):
    answer = client.post("/models/iris/predict", json={"petal_length": 1.5, "petal_width": 0.6}).json
    assert answer["prediction"] == "setosa"
    assert set(answer["probabilities"]) == {"setosa", "versicolor", "virginica"}
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)


def test_a_list_is_answered_in_its_order(client, log):
    trips = [{**TRIP, "trip_distance": distance} for distance in (1.0, 2.0, 3.0)]
    answer = client.post("/predict", json=trips).json
    assert [a["prediction"] for a in answer["predictions"]] == pytest.approx([8.5, 13.0, 17.5])
    assert len(log.events) == 3


def test_fields_that_the_schema_does_not_know_are_kept_as_context(client, log):
    client.post("/predict", json={**TRIP, "payment_type": 2, "vendor": {"name": "x"}})
    assert log.bodies[0]["context"] == {"payment_type": 2, "vendor": {"name": "x"}}


def test_integers_are_kept_to_the_last_digit_up_to_64_bits(client, log):
    numbers = [2**63 - 1, -(2**63), 9007199254740993, 0.1234567890123456789]
    client.post("/predict", json={**TRIP, "note": numbers, "PULocationID": 2**70})
    assert log.bodies[0]["context"]["note"] == numbers
    assert log.bodies[0]["features"]["PULocationID"] == str(2**70)


def test_a_client_may_choose_the_prediction_id(client, log):
    assert client.post("/predict", json={**TRIP, "prediction_id": "trip-7"}).json["prediction_id"] == "trip-7"
    assert log.bodies[0]["prediction_id"] == "trip-7"


def test_an_unseen_category_and_a_value_out_of_range_are_served(client):
    assert (
        client.post("/predict", json={**TRIP, "PULocationID": "atlantis", "trip_distance": -1e6}).status_code
        == 200
    )


WRONG_RECORDS = {
    "missing field": ({"DOLocationID": 1, "trip_distance": 1}, {"/PULocationID"}),
    "every wrong field": (
        {"PULocationID": 1.5, "trip_distance": "far"},
        {"/PULocationID", "/DOLocationID", "/trip_distance"},
    ),
    "boolean number": ({**TRIP, "trip_distance": True}, {"/trip_distance"}),
    "number beyond float32": ({**TRIP, "trip_distance": 1e300}, {"/trip_distance"}),
    "null": ({**TRIP, "trip_distance": None}, {"/trip_distance"}),
    "array for a category": ({**TRIP, "PULocationID": ["1"]}, {"/PULocationID"}),
    "empty category": ({**TRIP, "PULocationID": ""}, {"/PULocationID"}),
    "empty id": ({**TRIP, "prediction_id": ""}, {"/prediction_id"}),
    "numeric id": ({**TRIP, "prediction_id": 7}, {"/prediction_id"}),
    "id with a line break": ({**TRIP, "prediction_id": "a\nb"}, {"/prediction_id"}),
    "integer that no store holds": ({**TRIP, "note": 2**63}, {"/note"}),
    "integer that JSON libraries round": ({**TRIP, "note": [{"deep": 2**64 + 1}]}, {"/note"}),
    "negative integer of a hundred digits": ({**TRIP, "note": -(10**100)}, {"/note"}),
    "number of a hundred digits": ({**TRIP, "trip_distance": 10**100}, {"/trip_distance"}),
    "name that is a reference to MongoDB": ({**TRIP, "note": {"$ref": "a", "$id": 1}}, {"/note"}),
    "name that is a date to MongoDB": ({**TRIP, "note": [{"$date": 1}]}, {"/note"}),
    "name that is an operator to MongoDB": ({**TRIP, "$where": "1"}, {"/$where"}),
    "name that no store holds": ({**TRIP, "note": {"a\0b": 1}}, {"/note"}),
    "one bad of two": ([TRIP, {**TRIP, "trip_distance": "x"}], {"/1/trip_distance"}),
    "repeated id": ([{**TRIP, "prediction_id": "a"}] * 2, {"/1/prediction_id"}),
    "not an object": ([TRIP, 7], {"/1"}),
}


@pytest.mark.parametrize("case", WRONG_RECORDS)
def test_every_wrong_field_is_named_and_nothing_is_stored(client, log, case):
    body, pointers = WRONG_RECORDS[case]
    answer = client.post("/predict", json=body)
    assert (answer.status_code, answer.mimetype) == (422, PROBLEM)
    assert {error["pointer"] for error in answer.json["errors"]} == pointers
    assert all(error["detail"] for error in answer.json["errors"])
    assert log.events == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"trip_distance": NaN}', "application/json", 400),
        (b'{"trip_distance": Infinity}', "application/json", 400),
        (b'{"trip_distance": 1e999}', "application/json", 400),
        (b'{"a": "\xff"}', "application/json", 400),
        (b'{"a": 1' + b"0" * 10_000 + b"}", "application/json", 400),
        (b"[" * 1_000 + b"9" * 30 + b"]" * 1_000, "application/json", 400),
        (b'{"a": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a": ' * 5_000 + b"1" + b"}" * 5_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (json.dumps([TRIP] * 1_001).encode(), "application/json", 422),
        (json.dumps(TRIP).encode(), "text/plain", 415),
        (json.dumps(TRIP).encode(), None, 415),
        (b'"' + b"x" * 10_000_000 + b'"', "application/json", 413),
    ],
)
def test_what_is_no_request_gets_the_right_4xx_and_is_not_stored(client, log, body, content_type, status):
    for path in ("/predict", "/feedback"):
        answer = client.post(path, data=body, content_type=content_type)
        assert (answer.status_code, answer.mimetype) == (status, PROBLEM), path
        assert answer.json["detail"]
    assert log.events == []


def test_a_record_beyond_the_limit_is_named_with_its_size_and_nothing_of_the_list_is_stored(client, log):
    blob = {**TRIP, "prediction_id": "a", "x": [0] * 40_000}
    answer = client.post("/predict", json=[TRIP, blob, TRIP, {**blob, "prediction_id": "b"}])
    assert (answer.status_code, answer.mimetype) == (413, PROBLEM)
    assert [error["record"] for error in answer.json["errors"]] == [1, 3]
    assert "record 1 takes 80," in answer.json["detail"]
    assert "more than the limit of 65,536 (MAX_RECORD_BYTES)" in answer.json["detail"]
    assert log.events == []


def test_the_limit_is_a_setting_and_counts_the_event_as_it_is_stored(models, log, metrics):
    record = {**TRIP, "prediction_id": "a"}
    make_client(models, log, metrics).post("/predict", json={**record, "x": "y" * 1_000})
    size = len(log.events[0].body)
    client = make_client(models, log, metrics, max_record_bytes=size + 50)  # its time and latency vary in length
    assert client.post("/predict", json={**record, "x": "y" * 1_000}).status_code == 200
    assert client.post("/predict", json={**record, "x": "y" * 1_100}).status_code == 413


def test_feedback_beyond_the_limit_is_refused_as_a_whole(models, log, metrics):
    client = make_client(models, log, metrics, max_record_bytes=1_024)
    long = {"prediction_id": "a", "target": "x" * 1_000, "model": "iris"}
    answer = client.post("/feedback", json=[{"prediction_id": "b", "target": 1}, long])
    assert (answer.status_code, [error["record"] for error in answer.json["errors"]]) == (413, [1])
    assert log.events == []


def test_a_body_that_is_too_long_is_told_the_limit(client):
    answer = client.post("/predict", data=b"x" * 10_000_000, content_type="application/json")
    assert "longer than 4,194,304 bytes" in answer.json["detail"]


def test_deeply_nested_context_is_refused(client, log):
    deep: object = 1
    for _ in range(100):
        deep = {"x": deep}
    assert client.post("/predict", json={**TRIP, "note": deep}).status_code == 422
    assert log.events == []


def test_an_unknown_model_is_a_404_that_names_the_known_ones(client):
    answer = client.post("/models/nope/predict", json=TRIP)
    assert (answer.status_code, answer.mimetype) == (404, PROBLEM)
    assert "iris, taxi" in answer.json["detail"]


def test_unknown_paths_and_methods_are_problems_too(client):
    assert (client.get("/nope").status_code, client.get("/nope").mimetype) == (404, PROBLEM)
    answer = client.get("/predict")
    assert (answer.status_code, answer.mimetype, "POST" in answer.headers["Allow"]) == (405, PROBLEM, True)


def test_a_full_outbox_is_a_503_with_retry_after(client, log, metrics):
    log.full = True
    for path, body in (("/predict", TRIP), ("/feedback", {"prediction_id": "a", "target": 1})):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.mimetype) == (503, PROBLEM)
        assert int(answer.headers["Retry-After"]) > 0
    labels = {"model": "taxi", "version": "v1", "outcome": "unavailable"}
    assert metrics.registry.get_sample_value("sextant_predictions_total", labels) == 1


def test_an_error_of_ours_is_a_500_without_a_stack_trace(models, metrics):
    class BrokenLog(FakeEventLog):
        def append(self, events):
            raise RuntimeError("secret detail")

    answer = make_client(models, BrokenLog(), metrics).post("/predict", json=TRIP)
    assert (answer.status_code, answer.mimetype) == (500, PROBLEM)
    assert b"secret" not in answer.data
    assert b"Traceback" not in answer.data


def test_feedback_is_logged_for_its_model(client, log):
    answer = client.post(
        "/feedback", json=[{"prediction_id": "a", "target": 12.5}, {"prediction_id": "b", "target": 3}]
    )
    assert (answer.status_code, answer.json) == (202, {"accepted": 2})
    assert [(e["prediction_id"], e["model"], e["target"]) for e in log.bodies] == [
        ("a", "taxi", 12.5),
        ("b", "taxi", 3),
    ]


def test_feedback_for_a_classifier_names_a_class(client, log):
    body = {"prediction_id": "a", "target": "setosa", "model": "iris"}
    assert client.post("/feedback", json=body).status_code == 202
    assert log.bodies[0]["target"] == "setosa"


@pytest.mark.parametrize(
    ("item", "status", "field"),
    [
        ({"target": 1}, 422, "prediction_id"),
        ({"prediction_id": "a"}, 422, "target"),
        ({"prediction_id": "a", "target": None}, 422, "target"),
        ({"prediction_id": "a", "target": True}, 422, "target"),
        ({"prediction_id": "a", "target": [1]}, 422, "target"),
        ({"prediction_id": "a", "target": 10**100}, 422, "target"),
        ({"prediction_id": "a", "target": "long"}, 422, "target"),
        ({"prediction_id": "a", "target": 1, "model": "nope"}, 404, None),
        ({"prediction_id": "a", "target": 1, "tarjet": 2}, 422, "tarjet"),
    ],
)
def test_wrong_feedback_is_refused_and_not_stored(client, log, item, status, field):
    answer = client.post("/feedback", json=item)
    assert answer.status_code == status
    assert field is None or field in {error["field"] for error in answer.json["errors"]}
    assert log.events == []


def test_with_api_keys_only_key_holders_may_post(models, log, metrics):
    client = make_client(models, log, metrics, api_keys="one,two")
    assert client.post("/predict", json=TRIP).status_code == 401
    assert client.post("/predict", json=TRIP, headers={"X-API-Key": "three"}).status_code == 401
    assert client.post("/predict", json=TRIP, headers={"X-API-Key": "two"}).status_code == 200
    assert client.post("/predict", json=TRIP, headers={"Authorization": "Bearer one"}).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/models").status_code == 401


def test_the_name_of_the_key_stands_in_log_and_metrics_and_the_key_nowhere(models, log, metrics):
    keys = KeyRing([Key("shop", digest_of("the-secret-key"), frozenset({"predict"}))])
    service = PredictionService(models, log, "taxi", max_record_bytes=9_999)
    client = create_app(load_settings(), service, metrics, keys=keys).test_client()
    sent = {"X-API-Key": "the-secret-key"}
    with structlog.testing.capture_logs() as lines:
        assert client.post("/predict", json=TRIP, headers=sent).status_code == 200
        refused = client.post("/feedback", json={}, headers=sent)
        stranger = client.post("/predict", json=TRIP)
    assert [line["key"] for line in lines if line["event"] == "predicted"] == ["shop"]
    assert (refused.status_code, refused.json["detail"]) == (
        403,
        "the key 'shop' does not open this; it needs the scope feedback",
    )
    assert (stranger.status_code, stranger.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/models").headers["WWW-Authenticate"].startswith("Basic realm=")

    def count(key, outcome):
        return metrics.registry.get_sample_value("sextant_key_requests_total", {"key": key, "outcome": outcome})

    assert (count("shop", "accepted"), count("", "out_of_scope"), count("", "refused")) == (1, 1, 2)
    everything = f"{lines}{refused.text}{stranger.text}{metrics.exposition([])}{log.bodies}"
    assert "the-secret-key" not in everything


def test_beyond_the_rate_limit_a_key_gets_429_with_the_time_to_wait_and_others_do_not(models, log, metrics):
    keys = KeyRing(Key(name, digest_of(name), frozenset({"predict", "read"})) for name in ("shop", "other"))
    service = PredictionService(models, log, "taxi", max_record_bytes=9_999)
    limit = RateLimit("2/hour", None, clock=lambda: 3_600_000.0)
    client = create_app(load_settings(), service, metrics, keys=keys, rate_limit=limit).test_client()
    answers = [client.post("/predict", json=TRIP, headers={"X-API-Key": "shop"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "3600"
    assert answers[-1].mimetype == PROBLEM
    assert len(log.events) == 2
    assert client.post("/predict", json=TRIP, headers={"X-API-Key": "other"}).status_code == 200
    assert client.get("/models", headers={"X-API-Key": "shop"}).status_code == 200


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


def test_models_readiness_and_documentation_are_there(client):
    assert [model["name"] for model in client.get("/models").json["models"]] == ["iris", "taxi"]
    assert client.get("/readyz").json == {"status": "ready", "failing": {}}
    assert client.get("/healthz").status_code == 200
    assert client.get("/docs/").status_code == 200
    specification = client.get("/openapi.json").json
    record = specification["paths"]["/models/taxi/predict"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    assert set(record["oneOf"][0]["required"]) == {"PULocationID", "DOLocationID", "trip_distance"}


def test_the_documentation_says_that_predict_takes_the_default_model_s_record_and_no_other(client):
    paths = client.get("/openapi.json").json["paths"]
    assert paths["/predict"]["post"]["requestBody"] == paths["/models/taxi/predict"]["post"]["requestBody"]
    assert paths["/predict"]["post"]["requestBody"] != paths["/models/iris/predict"]["post"]["requestBody"]


def test_a_model_that_does_not_load_is_a_503_with_the_reason_and_the_others_are_served(tmp_path, log, metrics):
    publish_real_bundles(tmp_path)
    (tmp_path / "taxi" / "v1" / "model.onnx").write_bytes(b"damaged")
    client = make_client(LiveModels(tmp_path), log, metrics)
    answer = client.post("/predict", json=TRIP)
    assert (answer.status_code, answer.mimetype, "Retry-After" in answer.headers) == (503, PROBLEM, True)
    assert "model.onnx is corrupt" in answer.json["detail"]
    assert client.post("/feedback", json={"prediction_id": "a", "target": 1}).status_code == 503
    assert client.post("/models/iris/predict", json={"petal_length": 1.5, "petal_width": 0.6}).status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, list(ready.json["failing"])) == (200, ["model taxi"])
    paths = client.get("/openapi.json").json["paths"]
    assert "/models/iris/predict" in paths
    assert "/predict" not in paths


def test_readiness_names_what_fails(models, log, metrics):
    service = PredictionService(models, log, "taxi", max_record_bytes=1_000)
    client = create_app(load_settings(), service, metrics, lambda: "the disk is full").test_client()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["failing"]) == (503, {"outbox": "the disk is full"})
    assert client.get("/healthz").status_code == 200
