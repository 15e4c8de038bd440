"""A small HTTP file server with ranges and ETags that can break off in the middle, for tests of downloads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Serves `files` by path; `cut_after` makes the next answer break off after that many bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.etag = '"first"'
        self.cut_after: int | None = None
        self.requests: list[str | None] = []
        self.sent = 0
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["FileServer"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(state: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.requests.append(asked)
            content = state.files.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            if self.headers.get("If-Range") != state.etag:
                start = 0
            if start >= len(content):
                self.send_error(416)
                return
            self._send(content, start)

        def _send(self, content: bytes, start: int) -> None:
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", state.etag)
            self.end_headers()
            end = len(content) if state.cut_after is None else start + state.cut_after
            state.cut_after = None
            state.sent += len(content[start:end])
            self.wfile.write(content[start:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
