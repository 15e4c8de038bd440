"""A hand-written stand-in for the prediction service: keeps what it is sent, and misbehaves on demand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakePredictionService:
    """Answers like the design's interfaces; `script` holds (status, headers) for the next POSTs to /predict."""

    def __init__(self) -> None:
        self.predicted: list[dict[str, Any]] = []
        self.targets: list[dict[str, Any]] = []
        self.feedback_requests = 0
        self.api_keys: set[str | None] = set()
        self.refused_ids: set[str] = set()
        self.script: list[tuple[int, dict[str, str]]] = []
        self.lock = threading.Lock()
        self.url = ""

    @contextmanager
    def running(self, port: int = 0) -> Iterator["FakePredictionService"]:
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def predict(self, body: Any) -> tuple[int, dict[str, str], Any]:
        if self.script:
            status, headers = self.script.pop(0)
            return status, headers, {"detail": "as the script says"}
        records = body if isinstance(body, list) else [body]
        self.predicted += records
        answers = [{"prediction_id": record["prediction_id"], "prediction": 1.0} for record in records]
        return 200, {}, {"predictions": answers} if isinstance(body, list) else answers[0]

    def feedback(self, body: list[dict[str, Any]]) -> tuple[int, dict[str, str], Any]:
        self.feedback_requests += 1
        if any(item["prediction_id"] in self.refused_ids for item in body):
            return 422, {}, {"detail": "no such prediction"}
        self.targets += body
        return 202, {}, {}


def _handler(service: FakePredictionService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(200, {}, {"status": "ok"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with service.lock:
                service.api_keys.add(self.headers.get("X-API-Key"))
                decide = service.feedback if self.path == "/feedback" else service.predict
                answer = decide(body)
            self._answer(*answer)

        def _answer(self, status: int, headers: dict[str, str], body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
