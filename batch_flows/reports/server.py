"""`python -m batch_flows.reports.server`: the reports over HTTP, each page in a sandbox of its own."""

import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batch_flows.reports.files import ASSETS
from batch_flows.reports.index import INDEX, Reports, render
from sextant.contracts.errors import Fatal
from sextant.contracts.page_policy import DATA, HEADERS, REPORTS
from sextant.infrastructure.doors import (
    CHALLENGE,
    OPEN,
    READ,
    Door,
    Refused,
    admit,
    given_key,
    keys_of,
    require_closed_doors,
)
from sextant.infrastructure.keys import KeyRing
from sextant.infrastructure.logs import configure_logging
from sextant.infrastructure.settings import load_settings

DOORS = {"/healthz": OPEN, f"/{ASSETS}/": OPEN}
"""All others ask for the scope read. Assets are public libraries, and out of a sandbox no browser sends a key."""

IDLE_SECONDS = 30
WITHOUT_SCRIPTS = (".json", ".txt")


class ReportsHandler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD with files of one folder, and lists none."""

    keys: KeyRing
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sextant", ""
    timeout = IDLE_SECONDS
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"
    _asks_for_key = False

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        if self._may_enter():
            super().do_HEAD()

    def do_GET(self) -> None:
        """A report, the index, or before the first report a page that says so."""
        path = unquote(urlsplit(self.path).path)
        if not self._may_enter():
            return
        if path == "/healthz":
            self._answer("text/plain; charset=utf-8", b"ok\n")
        elif path == "/" and not Path(self.directory, INDEX).exists():
            self._answer("text/html; charset=utf-8", render(Reports()).encode())
        elif path != "/" and (path.endswith("/") or "/." in path):
            self.send_error(404)
        else:
            super().do_GET()

    def _may_enter(self) -> bool:
        """Whether the door opens; the refusal is sent."""
        door = self._door() if self.keys.closed else OPEN
        try:
            if door is not None:
                admit(self.keys, door, given_key(self.headers["X-API-Key"], self.headers["Authorization"]))
        except Refused as error:
            self._asks_for_key = error.status == 401
            self.send_error(error.status, str(error))
            return False
        return True

    def _door(self) -> Door:
        """By the file that would be sent, however the path is written."""
        is_asset = Path(self.directory, ASSETS) in Path(self.translate_path(self.path)).parents
        return DOORS.get(f"/{ASSETS}/" if is_asset else urlsplit(self.path).path, READ)

    def _answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        """The security headers with every answer, errors too, and how long a browser may keep it."""
        for name, value in self._more_headers():
            self.send_header(name, value)
        super().end_headers()

    def _more_headers(self) -> Iterator[tuple[str, str]]:
        path = urlsplit(getattr(self, "path", "")).path
        yield from HEADERS
        if self._asks_for_key:
            self._asks_for_key = False
            yield "WWW-Authenticate", CHALLENGE
        yield "Content-Security-Policy", DATA if path.endswith(WITHOUT_SCRIPTS) else REPORTS
        # "no-cache" means: ask whether it changed; the names of assets tell their contents.
        immutable = path.startswith(f"/{ASSETS}/")
        yield "Cache-Control", "public, max-age=31536000, immutable" if immutable else "no-cache"

    def list_directory(self, path: object) -> None:  # noqa: ARG002 - a folder without an index shows no names
        """Refuse."""
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests, like the other services."""


def reports_server(folder: Path, host: str, port: int, keys: KeyRing) -> ThreadingHTTPServer:
    """A server of this folder that listens already; raises Fatal when it cannot."""
    handler = type("Handler", (ReportsHandler,), {"keys": keys})
    try:
        return ThreadingHTTPServer((host, port), partial(handler, directory=str(folder)))
    except OSError as error:
        raise Fatal(f"port {port} (REPORTS_PORT): {error.strerror}") from None


def main() -> int:
    """Serve until stopped; a wrong setting ends it with one line and code 2."""
    try:
        settings = load_settings()
        configure_logging("reports", settings.log_level)
        keys = keys_of(settings, for_prometheus=False)
        require_closed_doors(settings, keys)
        server = reports_server(settings.reports_dir, settings.bind_host, settings.reports_port, keys)
    except Fatal as error:
        sys.stderr.write(f"reports: {error}\n")
        return 2
    with server:
        sys.stdout.write(f"reports: http://{settings.bind_host}:{settings.reports_port}\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
