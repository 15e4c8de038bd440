"""The receiving ends of alerts: a mail server and an HTTP server that record, refuse or hang as a test wants."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.processes import free_port


class WebhookReceiver:
    """Records the JSON that is posted to it; answers `status`, or nothing at all while `hangs`."""

    def __init__(self, *, status: int = 204, hangs: bool = False) -> None:
        self.status = status
        self.hangs = hangs
        self.asked = 0
        self.posts: list[dict[str, Any]] = []
        self.url = ""
        self.released = threading.Event()

    @contextmanager
    def running(self) -> Iterator["WebhookReceiver"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(state: WebhookReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.asked += 1
            if state.hangs:
                state.released.wait()
                return
            if state.status < 400:
                state.posts.append(json.loads(body))
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class MailReceiver:
    """Records the messages that it is sent; refuses the addresses named in `refuses`."""

    def __init__(self, *, refuses: frozenset[str] = frozenset()) -> None:
        self.refuses = refuses
        self.messages: list[EmailMessage] = []
        self.address = ""

    @contextmanager
    def running(self) -> Iterator["MailReceiver"]:
        controller = Controller(self, hostname="127.0.0.1", port=free_port())
        controller.start()
        self.address = f"127.0.0.1:{controller.port}"
        try:
            yield self
        finally:
            controller.stop()

    def to(self, address: str) -> list[EmailMessage]:
        return [message for message in self.messages if message["To"] == address]

    async def handle_RCPT(  # noqa: N802 (the library's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"
