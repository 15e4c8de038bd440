"""Who may post, and how often."""

import structlog

from prediction_service.app import create_app
from prediction_service.rate_limit import RateLimit
from prediction_service.service import PredictionService
from sextant.infrastructure.keys import Key, KeyRing, digest_of
from sextant.infrastructure.settings import load_settings
from tests.prediction_client import PROBLEM, TRIP, make_client


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
