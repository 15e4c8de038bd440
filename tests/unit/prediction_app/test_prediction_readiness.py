"""What the prediction service says of itself: models, readiness, documentation."""

from prediction_service.app import create_app
from prediction_service.live_models import LiveModels
from prediction_service.service import PredictionService
from sextant.infrastructure.settings import load_settings
from tests.conftest import publish_real_bundles
from tests.prediction_client import PROBLEM, TRIP, make_client


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
