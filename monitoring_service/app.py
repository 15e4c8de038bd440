"""The monitoring service over HTTP: takes events, shows what the evaluations found."""

import hmac
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template, request
from markupsafe import Markup
from prometheus_client.exposition import choose_encoder

from monitoring_service.ingest import WrongShape
from monitoring_service.model_monitor import ModelMonitor
from monitoring_service.openapi import specification
from monitoring_service.pages.live import card
from monitoring_service.pages.runbooks import OVERVIEW, Runbooks
from monitoring_service.pages.window_report import EmptyWindow, WindowReports
from monitoring_service.service import MonitoringService
from monitoring_service.views import drift_view
from sextant.contracts.errors import SextantError
from sextant.contracts.page_policy import NO_FRAME, REPORTS, own_parts
from sextant.infrastructure.doors import METRICS, OPEN, READ, Door, configured_keys
from sextant.infrastructure.http import Problem, answer_errors_as_problems, json_response, read_json
from sextant.infrastructure.http_doors import guard
from sextant.infrastructure.keys import KeyRing
from sextant.infrastructure.security_headers import POLICY, with_security_headers
from sextant.infrastructure.settings import Settings

MAX_BODY_BYTES = 32 << 20
TEMPLATES = Path(__file__).with_name("pages") / "templates"
DOORS: Mapping[str, Door] = {
    "/events": OPEN,  # to the relay, which has a secret of its own
    "/": READ,
    "/models/<name>/drift": READ,
    "/models/<name>/report": READ,
    "/key": READ,
    "/docs/runbooks/": READ,
    "/docs/runbooks/<alert>.md": READ,
    "/openapi.json": READ,
    "/metrics": METRICS,
    "/healthz": OPEN,
    "/readyz": OPEN,
}
STATUSES: dict[type[SextantError], int] = {WrongShape: 422, EmptyWindow: 409}


def create_app(
    settings: Settings,
    service: MonitoringService,
    events_token: str,
    runbooks: Runbooks | None = None,
    *,
    keys: KeyRing | None = None,
) -> Flask:
    """The app around a service, whose threads the caller starts and stops; events need the token."""
    app = Flask(__name__, template_folder=TEMPLATES, static_folder=None)
    app.wsgi_app = with_security_headers(app.wsgi_app)  # type: ignore[method-assign, assignment]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    answer_errors_as_problems(app, STATUSES)
    keys = keys or KeyRing(configured_keys(settings))
    guard(app, keys, DOORS)
    _add_event_route(app, service, events_token)
    _add_model_routes(app, settings, service, keys)
    _add_operator_routes(app, service)
    _add_runbook_routes(app, runbooks or Runbooks())
    return app


def _add_event_route(app: Flask, service: MonitoringService, token: str) -> None:
    @app.post("/events")
    def take_events() -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            detail = "only the relay may send events: its EVENTS_TOKEN must be that of the monitoring service"
            raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
        return json_response(service.ingest(read_json(request)), 202)


def _add_model_routes(app: Flask, settings: Settings, service: MonitoringService, keys: KeyRing) -> None:
    reports = WindowReports()

    def monitor_of(name: str) -> ModelMonitor:
        monitor = service.monitors.get(name)
        if monitor is None:
            raise Problem(404, f"there is no model {name[:100]!r} here")
        return monitor

    @app.get("/")
    def live_page() -> Response:
        now = service.clock()
        cards = [card(monitor.state(), settings.window_min_rows, now) for monitor in service.monitors]
        found = service.problems() | {f"model {name}": why for name, why in service.monitors.broken.items()}
        found |= {"keys": keys.problem} if keys.problem else {}
        problems = [f"{part}: {reason}" for part, reason in found.items()]
        return _page("live.html", cards=cards, problems=problems, now=now, reports_url=settings.reports_url)

    @app.get("/models/<name>/drift")
    def drift(name: str) -> Response:
        return json_response(drift_view(monitor_of(name).state(), settings.window_min_rows))

    @app.get("/models/<name>/report")
    def report(name: str) -> Response:
        return Response(reports.html(monitor_of(name)), mimetype="text/html", headers={POLICY: REPORTS})


def _add_runbook_routes(app: Flask, runbooks: Runbooks) -> None:
    @app.get("/docs/runbooks/")
    def runbook_list() -> Response:
        overview = Markup(runbooks.html(OVERVIEW) or "")  # noqa: S704 - its HTML was escaped
        return _page("runbooks.html", title="Runbooks", body=overview, alerts=runbooks.alerts())

    @app.get("/docs/runbooks/<alert>.md")
    def runbook(alert: str) -> Response:
        html = runbooks.html(alert)
        if html is None:
            raise Problem(404, f"there is no runbook {alert[:100]!r} here")
        return _page("runbooks.html", title=alert, body=Markup(html))  # noqa: S704 - as above


def _page(template: str, **content: Any) -> Response:
    return Response(render_template(template, **content), headers={POLICY: _policy_of(template)})


@cache
def _policy_of(template: str) -> str:
    return own_parts((TEMPLATES / template).read_text()) + NO_FRAME


def _add_operator_routes(app: Flask, service: MonitoringService) -> None:
    @app.get("/metrics")
    def metrics() -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(service.metrics.registry), content_type=content_type)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return json_response(specification())

    @app.get("/key")
    def may_read() -> Response:
        """What the proxy asks for those who ask nobody themselves."""
        return json_response({"status": "may read"})

    @app.get("/healthz")
    def alive() -> Response:
        return json_response({"status": "alive"})

    @app.get("/readyz")
    def ready() -> Response:
        if problems := service.problems():
            raise Problem(503, "; ".join(f"{part}: {reason}" for part, reason in problems.items()))
        calibrated = {m.name: m.monitored.calibration is not None for m in service.monitors}
        thresholds = {m.name: m.monitored.reference.holds for m in service.monitors}
        return json_response({"status": "ready", "calibrated": calibrated, "thresholds": thresholds})
