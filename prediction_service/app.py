"""The prediction service's HTTP entrypoint: routes translate, the service beside them decides."""

import hmac
import time
from collections.abc import Callable
from pathlib import Path

import flask_swagger_ui
import structlog
from flask import Flask, Response, redirect, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from prediction_service.errors import InvalidInput, RecordTooLarge, UnknownModel
from prediction_service.metrics import Metrics
from prediction_service.openapi import specification
from prediction_service.records import Record, parse_feedback
from prediction_service.service import PredictionService, wire_answer
from sextant.contracts.errors import Rejected, Retryable
from sextant.contracts.page_policy import swagger_page
from sextant.infrastructure.http import Problem, answer_errors_as_problems, json_response, read_json
from sextant.infrastructure.security_headers import POLICY, with_security_headers
from sextant.infrastructure.settings import Settings

MAX_BODY_BYTES = 4 << 20
SHOWN = {"name", "version", "task", "target", "classes", "metrics", "data_source", "data_period", "feature_schema"}
STATUSES = {UnknownModel: 404, RecordTooLarge: 413, Rejected: 422, Retryable: 503}
SWAGGER_UI = Path(flask_swagger_ui.__file__).with_name("dist")
DOCS_PAGE = Path(__file__).with_name("templates") / "docs.html"
log = structlog.get_logger(__name__)


def create_app(
    settings: Settings,
    service: PredictionService,
    metrics: Metrics,
    outbox_problem: Callable[[], str | None] = lambda: None,
) -> Flask:
    """The WSGI app; `outbox_problem` says why the outbox cannot take events now, or None."""
    app = Flask(__name__, static_folder=SWAGGER_UI, static_url_path="/docs")
    app.wsgi_app = with_security_headers(app.wsgi_app)  # type: ignore[method-assign, assignment]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions["count_refused"] = metrics.count_refused  # of the worker, which has no other way to it
    answer_errors_as_problems(app, STATUSES)
    if settings.api_keys:
        app.before_request(lambda: _require_key(settings.api_keys))
    _add_work_routes(app, service, metrics)
    _add_information_routes(app, service, metrics, outbox_problem)
    return app


def _add_work_routes(app: Flask, service: PredictionService, metrics: Metrics) -> None:
    @app.post("/predict")
    @app.post("/models/<name>/predict")
    def predict(name: str | None = None) -> Response:
        began, cpu_began = time.perf_counter(), time.thread_time()
        model, count, outcome = None, 1, "error"
        try:
            model = service.model(name)
            body = read_json(request)
            records: list[Record] = model.parse(body)
            count = len(records)
            predictions = service.predict(model, records)
            outcome = "ok"
        except Exception as error:
            outcome = _outcome(error)
            if model and isinstance(error, InvalidInput):
                metrics.count_rejected(model.manifest, error.errors)
            raise
        finally:
            name, version = (model.manifest.name, model.manifest.version) if model else ("", "")
            metrics.observe(
                name,
                version,
                outcome,
                records=count,
                seconds=time.perf_counter() - began,
                cpu_seconds=time.thread_time() - cpu_began,
            )
        answers = [wire_answer(prediction) for prediction in predictions]
        log.info("predicted", model=model.manifest.name, count=count, prediction_id=answers[0]["prediction_id"])
        return json_response({"predictions": answers} if isinstance(body, list) else answers[0])

    @app.post("/feedback")
    def feedback() -> Response:
        try:
            targets = service.take_feedback(parse_feedback(read_json(request)))
        except Exception as error:
            metrics.feedback.labels("", _outcome(error)).inc()
            raise
        for target in targets:
            metrics.feedback.labels(target.model, "ok").inc()
        log.info("took feedback", count=len(targets), prediction_id=targets[0].prediction_id)
        return json_response({"accepted": len(targets)}, 202)


def _add_information_routes(
    app: Flask, service: PredictionService, metrics: Metrics, outbox_problem: Callable[[], str | None]
) -> None:
    docs_page = DOCS_PAGE.read_text()
    docs_policy = swagger_page(docs_page)

    @app.get("/")
    def index() -> BaseResponse:
        return redirect("/docs/")

    @app.get("/docs/")
    def docs() -> Response:
        return Response(docs_page, headers={POLICY: docs_policy})

    @app.get("/models")
    def models() -> Response:
        live = [model.manifest.model_dump(mode="json", include=SHOWN) for model in service.models.all()]
        return json_response({"models": live})

    @app.get("/healthz")
    def healthz() -> Response:
        return json_response({"status": "alive"})

    @app.get("/readyz")
    def readyz() -> Response:
        problem = outbox_problem()
        failing = {f"model {name}": reason for name, reason in service.models.broken.items()}
        if problem:  # without the outbox nothing is served; a broken model leaves the others
            failing["outbox"] = problem
        return json_response(
            {"status": "not ready" if problem else "ready", "failing": failing}, 503 if problem else 200
        )

    @app.get("/metrics")
    def exposition() -> Response:
        manifests = [model.manifest for model in service.models.all()]
        return Response(metrics.exposition(manifests), content_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return json_response(specification(service.models.all(), service.default_model))


def _require_key(keys: frozenset[str]) -> None:
    if request.method != "POST":
        return
    given = request.headers.get("X-API-Key") or request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not any(hmac.compare_digest(given.encode(), key.encode()) for key in keys):
        raise Problem(401, "send a valid key in X-API-Key", headers={"WWW-Authenticate": "Bearer"})


def _outcome(error: Exception) -> str:
    if isinstance(error, Retryable):
        return "unavailable"
    return "invalid" if isinstance(error, HTTPException | Rejected) else "error"
