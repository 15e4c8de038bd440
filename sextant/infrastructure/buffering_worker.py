"""gunicorn's threaded worker, in which no work ever waits for a client.

Work on a request begins when all of it has arrived, and is done when its response is written to memory; the event
loop waits for slow clients, as a buffering proxy would (docs/decisions/gunicorn-workers.md).
"""

import errno
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn.http import get_parser
from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from sextant.infrastructure.buffered_socket import BufferedSocket
from sextant.infrastructure.http import RETRY_AFTER_SECONDS
from sextant.infrastructure.request_bytes import TooLarge
from sextant.infrastructure.security_headers import ADDED_TO_DATA

SLOW_SECONDS = 30.0
"""How long a client may take to send a request, or to take a response."""

STOP_SECONDS = 2.0
"""The same, from the moment when the worker is told to stop."""

MAX_WAITING = 64
"""Requests for work that may wait for a thread; more are refused at once, with 503."""

HELD_BODIES = 4
"""Bodies of the greatest size that a worker holds in memory; beyond, the slowest client is given up."""

NOTHING_TO_ACCEPT = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE}
READERS = 4
"""Threads for GET requests."""

AT_ONCE = 32
"""Requests that a worker with one thread answers before it looks after its clients again."""

STATUSES = {LimitRequestLine: 414, LimitRequestHeaders: 431, ExpectationFailed: 417}
"""Answers to what is not HTTP; otherwise 400."""
Then = Callable[[TConn], None]


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Clients send and receive at their own pace, and have SLOW_SECONDS for it.

    Several threads work side by side. One thread is the event loop itself, which works between two looks at its
    clients: without a hand-over a request costs a tenth less.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._slow: dict[TConn, float] = {}
        """Connections that the event loop waits for, and since when; the oldest first."""
        self._working = 0
        self._whole: deque[TConn] = deque()
        """Connections whose requests the event loop answers itself."""

    @property
    def _max_body(self) -> int:
        return int(self.wsgi.config["MAX_CONTENT_LENGTH"])

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """The threads for work; health checks, metrics and pages have others, which no work keeps waiting."""
        self._readers = ThreadPoolExecutor(READERS)
        return ThreadPoolExecutor(self.cfg.threads)

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection; all of them while work waits here, since no other worker took them."""
        for _ in range(self.worker_connections - self.nr_conns if self._whole else 1):
            try:
                connection, address = listener.accept()
            except OSError as error:
                if error.errno not in NOTHING_TO_ACCEPT:
                    raise
                return
            self.nr_conns += 1
            conn = TConn(self.cfg, BufferedSocket(connection, self._max_body), address, listener.getsockname())
            conn.parser, conn.initialized = get_parser(self.cfg, conn.sock, address), True
            self._read(conn)

    def enqueue_req(self, conn: TConn) -> None:
        """Await the next request of a connection, whose first bytes have arrived."""
        try:
            conn.sock.begin()
        except TooLarge as error:
            self._refuse_size(conn, error)
        else:
            self._read(conn)

    def _read(self, conn: TConn) -> None:
        request = conn.sock.request
        asked = request.expects_continue
        try:
            while not request.whole:
                if not conn.sock.fill():
                    self._hand_over(conn) if len(request) else self._drop(conn)
                    return
        except BlockingIOError:
            if request.expects_continue and not asked:
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._wait(conn, selectors.EVENT_READ, self._read)
        except OSError:
            self._drop(conn)
        except TooLarge as error:
            self._refuse_size(conn, error)
        else:
            self._hand_over(conn)

    def _hand_over(self, conn: TConn) -> None:
        self._forget(conn)
        asks_for_work = conn.sock.request.is_post
        if asks_for_work and self._working >= self.cfg.threads + MAX_WAITING:
            if count_refused := self.wsgi.extensions.get("count_refused"):
                count_refused(conn.sock.request.path)
            self._refuse(conn, 503, f"{MAX_WAITING} requests are waiting already; nothing was stored")
            return
        self._working += asks_for_work
        conn.sock.give()
        if asks_for_work and self.cfg.threads == 1:
            self._whole.append(conn)
            return
        done = (self.tpool if asks_for_work else self._readers).submit(self.handle, conn)
        done.add_done_callback(partial(self.method_queue.defer, self._handled, conn, asks_for_work))

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """Look after the clients, then answer what waits for the event loop."""
        super().wait_for_and_dispatch_events(0 if self._whole else timeout)
        for _ in range(min(len(self._whole), AT_ONCE)):
            conn, done = self._whole.popleft(), Future[Any]()
            try:
                done.set_result(self.handle(conn))
            except Exception as error:  # noqa: BLE001 - as a thread would
                done.set_exception(error)
            self._handled(conn, True, done)

    def _handled(self, conn: TConn, was_work: bool, fs: "Future[Any]") -> None:
        """A thread is done with a request; the connection is closed or kept when the client has its response."""
        self._working -= was_work
        self._finish_sending(conn, fs)

    def _finish_sending(self, conn: TConn, fs: "Future[Any]") -> None:
        conn.sock.flush()
        if conn.sock.unsent:
            self._wait(conn, selectors.EVENT_WRITE, partial(self._finish_sending, fs=fs))
            return
        self._forget(conn)
        if conn.sock.surplus and not fs.cancelled() and not fs.exception() and fs.result():
            self.enqueue_req(conn)
        else:
            self.finish_request(conn, fs)

    def _refuse_size(self, conn: TConn, error: TooLarge) -> None:
        too_long = f"the body is longer than {self._max_body:,} bytes, the limit for a request"
        self._refuse(conn, error.status, too_long if error.status == 413 else "the headers are too long")

    def handle_error(self, req: Any, client: BufferedSocket, addr: Any, exc: Exception) -> None:
        """Answer what is not HTTP; called in a thread."""
        if isinstance(exc, ParseException):
            client.send(_answer(STATUSES.get(type(exc), 400), str(exc)))
        else:
            super().handle_error(req, client, addr, exc)

    def _refuse(self, conn: TConn, status: int, detail: str) -> None:
        """Answer without a thread, and drop what the client still sends: a reset would lose the answer."""
        try:
            conn.sock.begin()
            conn.sock.send(_answer(status, detail))
            conn.sock.shutdown(socket.SHUT_WR)
        except (OSError, TooLarge):
            self._drop(conn)
        else:
            self._discard(conn)

    def _discard(self, conn: TConn) -> None:
        try:
            more = conn.sock.discard()
        except BlockingIOError:
            more = True
        except OSError:
            more = False
        if more:
            self._wait(conn, selectors.EVENT_READ, self._discard)
        else:
            self._drop(conn)

    def _wait(self, conn: TConn, event: int, then: Then) -> None:
        """Call `then` when the client has sent or taken something."""
        if conn in self._slow:
            self.poller.modify(conn.sock, event, lambda _: then(conn))
        else:
            self.poller.register(conn.sock, event, lambda _: then(conn))
            self._slow[conn] = time.monotonic()

    def _forget(self, conn: TConn) -> None:
        if self._slow.pop(conn, None) is not None:
            self.poller.unregister(conn.sock)

    def _drop(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Give up the slowest clients, where they are too slow or take the place of others."""
        now, held = time.monotonic(), sum(conn.sock.held_bytes for conn in self._slow)
        for conn, since in list(self._slow.items()):
            late = now - since > (SLOW_SECONDS if self.alive else STOP_SECONDS)
            if not late and held <= HELD_BODIES * self._max_body and self.nr_conns < self.worker_connections:
                return
            held -= conn.sock.held_bytes
            self._drop(conn)


def _answer(status: int, detail: str) -> bytes:
    title = HTTPStatus(status).phrase
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", len(body)), *ADDED_TO_DATA]
    headers += [("Connection", "close")] + [("Retry-After", RETRY_AFTER_SECONDS)] * (status == 503)
    lines = [f"HTTP/1.1 {status} {title}", *(f"{name}: {value}" for name, value in headers), "\r\n"]
    return "\r\n".join(lines).encode() + body
