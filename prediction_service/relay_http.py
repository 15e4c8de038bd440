"""The relay over HTTP: its metrics, behind the same doors as everything else, and whether it lives."""

import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from sextant.contracts.errors import Fatal
from sextant.infrastructure.doors import METRICS, OPEN, Refused, admit, given_key
from sextant.infrastructure.keys import KeyRing
from sextant.infrastructure.security_headers import with_security_headers
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

DOORS = {"/metrics": METRICS, "/healthz": OPEN}


def relay_app(registry: CollectorRegistry, keys: KeyRing) -> "WSGIApplication":
    """The WSGI app."""
    metrics: WSGIApplication = make_wsgi_app(registry)

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path not in DOORS:
            return _say(start_response, "404 Not Found", "the relay has /metrics and /healthz")
        door = DOORS[path] if keys.closed else OPEN
        try:
            if door is not None:
                admit(keys, door, given_key(environ.get("HTTP_X_API_KEY"), environ.get("HTTP_AUTHORIZATION")))
        except Refused as error:
            return _say(start_response, f"{error.status} Refused", str(error))
        if path == "/healthz":
            return _say(start_response, "200 OK", "alive")
        return metrics(environ, start_response)

    return with_security_headers(app)


def _say(start_response: "StartResponse", status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests, like the other services."""


def serve(settings: Settings, registry: CollectorRegistry, keys: KeyRing) -> WSGIServer:
    """A server that answers from now on, in a thread; raises Fatal when it cannot listen."""
    try:
        server = make_server(
            settings.bind_host, settings.relay_port, relay_app(registry, keys), _Server, _QuietHandler
        )
    except OSError as error:
        raise Fatal(f"port {settings.relay_port} (RELAY_PORT): {error.strerror}") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
