"""What POST /predict and /feedback take, answer and store, and how they refuse."""

import json

import pytest

from tests.prediction_client import PROBLEM, TRIP, FakeEventLog, make_client


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
