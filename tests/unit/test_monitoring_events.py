from pathlib import Path

import pytest

from sextant.infrastructure.settings import Settings, load_settings
from tests.bundles import publish_flowers, publish_trips
from tests.monitoring_harness import FakeStore, Harness, trip_events
from tests.processes import AS_RELAY


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    publish_trips(tmp_path / "models")
    return load_settings(data_dir=tmp_path, window_size=300, window_min_rows=100)


@pytest.fixture
def harness(settings: Settings) -> Harness:
    return Harness(settings, FakeStore())


def test_events_are_taken_once_however_often_they_are_sent(harness: Harness) -> None:
    body = trip_events(50)
    assert harness.post(body) == {"accepted": 75, "duplicates": 0, "too_old": 0, "in_future": 0, "rejected": []}
    assert harness.post(body) == {"accepted": 0, "duplicates": 75, "too_old": 0, "in_future": 0, "rejected": []}
    assert harness.drift()["window"]["rows"] == 50


def test_a_rejected_event_is_named_and_the_others_are_taken(harness: Harness) -> None:
    body = trip_events(3)
    body["predictions"][0]["model"] = "nobody"
    answer = harness.post(body)
    assert answer["rejected"] == [
        {"pointer": "/predictions/0", "prediction_id": "p000000", "reason": "unknown model 'nobody'"}
    ]
    assert harness.drift()["window"]["rows"] == 2


def test_a_model_that_was_published_a_moment_ago_is_known(harness: Harness, settings: Settings) -> None:
    publish_flowers(settings.models_dir)
    body = trip_events(3, model="iris")
    assert harness.post(body)["rejected"] == []


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 422),
        (b'{"predictions": [NaN]}', "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"[" * 100_000, "application/json", 400),
    ],
)
def test_a_wrong_body_is_a_problem_and_never_our_fault(
    harness: Harness, content: bytes, content_type: str, status: int
) -> None:
    response = harness.client.post("/events", data=content, content_type=content_type, headers=AS_RELAY)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \xff"}])
def test_only_who_knows_the_secret_may_send_events(harness: Harness, header: dict[str, str]) -> None:
    response = harness.client.post("/events", json=trip_events(3), headers=header)
    assert (response.status_code, response.mimetype) == (401, "application/problem+json")
    assert "EVENTS_TOKEN" in response.json["detail"]
    assert harness.drift()["window"]["rows"] == 0


def test_whatever_else_is_sent_the_evaluation_goes_on(harness: Harness) -> None:
    body = trip_events(150)
    good = body["predictions"][0]
    odd = [
        {"context": 5},
        {"features": {f"made-up-{number}": number for number in range(2_000)}},
        {"features": dict.fromkeys(good["features"], "text")},
        {"features": dict.fromkeys(good["features"])},
        {"probabilities": {"setosa": 0.5}},
        {"prediction": "text"},
        {"created_at": "1970-01-01T00:00:00Z"},
        {"context": {"payment_type": [[], {}]}},
    ]
    body["predictions"] += [{**good, "prediction_id": f"odd-{n}", **change} for n, change in enumerate(odd)]
    body["targets"].append({**body["targets"][0], "prediction_id": "odd-1", "target": "text"})
    assert [rejected["prediction_id"] for rejected in harness.post(body)["rejected"]] == ["odd-0"]
    harness.evaluator.run()
    harness.together.run()
    assert harness.drift()["evaluated_at"]
    assert set(harness.monitor().snapshot().frame().columns) == set(
        harness.monitor().monitored.manifest.feature_schema.names
    ) | {"prediction", "target", "payment_type"}
