"""The prediction service's HTTP entrypoint: routes translate, the service beside them decides."""

import time
from collections.abc import Callable, Mapping
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
from prediction_service.rate_limit import RateLimit
from prediction_service.records import Record, parse_feedback
from prediction_service.service import PredictionService, wire_answer
from sextant.contracts.errors import Rejected, Retryable
from sextant.contracts.page_policy import swagger_page
from sextant.infrastructure.doors import ANY_KEY, FEEDBACK, METRICS, OPEN, PREDICT, Door, configured_keys
from sextant.infrastructure.http import answer_errors_as_problems, json_response, read_json
from sextant.infrastructure.http_doors import guard, sender
from sextant.infrastructure.keys import KeyRing
from sextant.infrastructure.security_headers import POLICY, with_security_headers
from sextant.infrastructure.settings import Settings

MAX_BODY_BYTES = 4 << 20
SHOWN = {"name", "version", "task", "target", "classes", "metrics", "data_source", "data_period", "feature_schema"}
STATUSES = {UnknownModel: 404, RecordTooLarge: 413, Rejected: 422, Retryable: 503}
DOORS: Mapping[str, Door] = {
    "/predict": PREDICT,
    "/models/<name>/predict": PREDICT,
    "/feedback": FEEDBACK,
    "/": ANY_KEY,
    "/docs/": ANY_KEY,
    "/docs/<path:filename>": ANY_KEY,
    "/openapi.json": ANY_KEY,
    "/models": ANY_KEY,
    "/metrics": METRICS,
    "/healthz": OPEN,
    "/readyz": OPEN,
}
SWAGGER_UI = Path(flask_swagger_ui.__file__).with_name("dist")
DOCS_PAGE = Path(__file__).with_name("templates") / "docs.html"
log = structlog.get_logger(__name__)


def create_app(
    settings: Settings,
    service: PredictionService,
    metrics: Metrics,
    outbox_problem: Callable[[], str | None] = lambda: None,
    *,
    keys: KeyRing | None = None,
    rate_limit: RateLimit | None = None,
) -> Flask:
    """The WSGI app; `outbox_problem` says why the outbox cannot take events now, or None."""
    keys = keys or KeyRing(configured_keys(settings))
    app = Flask(__name__, static_folder=SWAGGER_UI, static_url_path="/docs")
    app.wsgi_app = with_security_headers(app.wsgi_app)  # type: ignore[method-assign, assignment]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions["count_refused"] = metrics.count_refused  # of the worker, which has no other way to it
    answer_errors_as_problems(app, STATUSES)
    limit = rate_limit.seconds_to_wait if rate_limit else None
    guard(app, keys, DOORS, count=metrics.count_key, limit=limit)
    _add_work_routes(app, service, metrics)
    _add_information_routes(app, service, metrics, lambda: _failing(service, outbox_problem, keys))
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
        log.info(
            "predicted",
            model=model.manifest.name,
            count=count,
            prediction_id=answers[0]["prediction_id"],
            **sender(),
        )
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
        log.info("took feedback", count=len(targets), prediction_id=targets[0].prediction_id, **sender())
        return json_response({"accepted": len(targets)}, 202)


def _add_information_routes(
    app: Flask, service: PredictionService, metrics: Metrics, failing: Callable[[], dict[str, str]]
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
        found = failing()
        ready = "outbox" not in found  # without it nothing is served; a broken model leaves the others
        return json_response(
            {"status": "ready" if ready else "not ready", "failing": found}, 200 if ready else 503
        )

    @app.get("/metrics")
    def exposition() -> Response:
        manifests = [model.manifest for model in service.models.all()]
        return Response(metrics.exposition(manifests), content_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return json_response(specification(service.models.all(), service.default_model))


def _failing(
    service: PredictionService, outbox_problem: Callable[[], str | None], keys: KeyRing
) -> dict[str, str]:
    """What does not work, by part."""
    failing = {f"model {name}": reason for name, reason in service.models.broken.items()}
    parts = {"outbox": outbox_problem(), "keys": keys.problem}
    return failing | {part: problem for part, problem in parts.items() if problem}


def _outcome(error: Exception) -> str:
    if isinstance(error, Retryable):
        return "unavailable"
    return "invalid" if isinstance(error, HTTPException | Rejected) else "error"
