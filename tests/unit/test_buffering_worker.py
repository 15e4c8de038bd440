"""The worker, with one thread and with two: slow clients cost nobody anything, too much work is refused."""

import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from flask import Flask, Response, request
from gunicorn.config import Config
from gunicorn.glogging import Logger

from sextant.infrastructure import buffering_worker
from sextant.infrastructure.buffering_worker import BufferingWorker

LIMIT = 8 << 20
BIG = 10 << 20  # more than the kernel keeps for a client
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Server:
    """A worker whose event loop runs while a test waits for something."""

    def __init__(self, threads: int) -> None:
        self.release = threading.Event()
        self.refused: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        config = Config()
        config.set("threads", threads)
        config.set("worker_connections", 40)
        self.worker = BufferingWorker(0, os.getpid(), [self.listener], None, 30, config, Logger(config))
        self.worker.wsgi = self._app()
        self.worker.tpool = self.worker.get_thread_pool()
        self.worker.poller = selectors.DefaultSelector()
        queue = self.worker.method_queue
        queue.init()
        self.worker.poller.register(queue.fileno(), selectors.EVENT_READ, queue.run_callbacks)
        self.worker.set_accept_enabled(True)
        self.clients = ExitStack()

    def _app(self) -> Flask:
        app = Flask(__name__)
        app.config["MAX_CONTENT_LENGTH"] = LIMIT
        app.add_url_rule("/echo", "echo", lambda: Response(request.get_data()), methods=["POST"])
        app.add_url_rule("/big", "big", lambda: Response(b"x" * BIG))
        app.add_url_rule("/wait", "wait", lambda: str(self.release.wait(30)), methods=["POST"])
        app.extensions["count_refused"] = self.refused.append
        return app

    def turn(self) -> None:
        self.worker.wait_for_and_dispatch_events(timeout=0.01)
        self.worker.murder_pending()

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            self.turn()

    def client(self, sent: bytes = b"") -> socket.socket:
        client = self.clients.enter_context(socket.create_connection(self.listener.getsockname()))
        client.sendall(sent)
        return client

    def client_that_goes_on_sending(self, sent: bytes) -> tuple[socket.socket, threading.Thread]:
        client = self.client()

        def send() -> None:
            with suppress(OSError):
                client.sendall(sent)

        sending = threading.Thread(target=send)
        sending.start()
        return client, sending

    def answer(self, client: socket.socket, end: bytes = b"") -> bytes:
        """What the client gets until the connection ends, or until that arrives."""
        got = bytearray()

        def done() -> bool:
            try:
                while piece := client.recv(1 << 20, socket.MSG_DONTWAIT):
                    got.extend(piece)
            except BlockingIOError:
                return bool(end) and end in got
            return True

        self.until(done)
        return bytes(got)

    def close(self) -> None:
        self.release.set()
        self.clients.close()
        self.worker.alive = False  # so that connections are not kept
        self.until(lambda: not self.worker._slow and not self.worker._working)
        self.worker.murder_keepalived(force=True)
        assert self.worker.nr_conns == 0
        self.worker.tpool.shutdown()
        self.worker._readers.shutdown()
        self.worker.poller.close()
        self.worker.method_queue.close()
        self.worker.tmp.close()
        self.listener.close()


@pytest.fixture(params=[1, 2], ids=["event loop", "threads"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = Server(request.param)
    yield server
    server.close()


def body_of(answer: bytes) -> dict[str, object]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_clients_that_send_slowly_keep_nobody_waiting(server: Server) -> None:
    starts = [b"", b"POST /echo HT", POST % (b"echo", 10, b"12345")]
    slow = [server.client(start) for start in starts * 5]
    assert server.answer(server.client(POST % (b"echo", 3, b"abc")), b"abc")
    slow[2].sendall(b"67890")
    assert server.answer(slow[2], b"1234567890")


def test_a_client_that_reads_slowly_keeps_nobody_waiting_and_gets_all_of_its_response(server: Server) -> None:
    slow = [server.client(GET % b"big") for _ in range(3)]
    server.until(lambda: len(server.worker._slow) == 3)
    assert server.answer(server.client(POST % (b"echo", 3, b"abc")), b"abc")
    assert len(server.answer(slow[0]).partition(b"\r\n\r\n")[2]) == BIG


def test_a_client_has_a_deadline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffering_worker, "SLOW_SECONDS", 0.05)
    assert server.answer(server.client(b"POST /echo HT")) == b""


def test_a_worker_that_is_told_to_stop_does_not_wait_long_for_clients(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffering_worker, "STOP_SECONDS", 0.05)
    client = server.client(b"POST /echo HT")
    server.until(lambda: server.worker._slow)
    server.worker.alive = False
    assert server.answer(client) == b""


def test_the_slowest_clients_make_room_for_others(server: Server) -> None:
    slow = [server.client(b"POST /echo HT") for _ in range(60)]
    assert server.answer(server.client(POST % (b"echo", 3, b"abc")), b"abc")
    assert server.answer(slow[0]) == b""
    assert len(server.worker._slow) < 40


def test_what_slow_clients_make_a_worker_hold_in_memory_is_bounded(server: Server) -> None:
    almost_all = POST % (b"echo", LIMIT, b"x" * (LIMIT - 1_000))
    sending = [server.client_that_goes_on_sending(almost_all)[1] for _ in range(8)]
    server.until(lambda: not any(thread.is_alive() for thread in sending))
    server.turn()
    assert len(server.worker._slow) <= buffering_worker.HELD_BODIES
    assert server.answer(server.client(POST % (b"echo", 3, b"abc")), b"abc")


@pytest.mark.parametrize("server", [2], indirect=True)
def test_more_work_than_may_wait_is_refused_at_once_and_what_is_asked_of_the_service_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffering_worker, "MAX_WAITING", 2)
    working = [server.client(POST % (b"wait", 1, b"1")) for _ in range(4)]
    server.until(lambda: server.worker._working == 4)
    answer = server.answer(server.client(POST % (b"echo", 1, b"1")))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in answer
    assert body_of(answer)["status"] == 503
    assert server.refused == ["/echo"]
    assert server.answer(server.client(GET % b"nowhere")).startswith(b"HTTP/1.1 404 ")
    server.release.set()
    assert all(server.answer(client, b"True") for client in working)


@pytest.mark.parametrize("server", [1], indirect=True)
def test_the_event_loop_refuses_more_work_than_may_wait(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffering_worker, "MAX_WAITING", 1)
    clients = [server.client() for _ in range(5)]
    server.until(lambda: server.worker.nr_conns == 5)
    for client in clients:
        client.sendall(POST % (b"echo", 3, b"abc"))
    statuses = sorted(server.answer(client, b"\r\n\r\n")[9:12] for client in clients)
    assert statuses == [b"200"] * 2 + [b"503"] * 3


def test_a_request_that_ends_with_an_error_of_gunicorn_ends_its_connection_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(server.worker, "handle", lambda _conn: 1 / 0)
        assert server.answer(server.client(POST % (b"echo", 3, b"abc"))) == b""
    assert server.answer(server.client(POST % (b"echo", 3, b"abc")), b"abc")


def test_a_body_beyond_the_limit_is_refused_however_much_of_it_comes(server: Server) -> None:
    client, _ = server.client_that_goes_on_sending(POST % (b"echo", 5 * LIMIT, b"x" * 5 * LIMIT))
    answer = server.answer(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "longer than 8,388,608 bytes" in str(body_of(answer)["detail"])


def test_requests_behind_each_other_are_all_answered(server: Server) -> None:
    client = server.client(POST % (b"echo", 3, b"abc") + POST % (b"echo", 3, b"def") + GET % b"nowhere")
    answers = server.answer(client)
    assert [part in answers for part in (b"abc", b"def", b" 404 ")] == [True] * 3


def test_a_client_that_waits_for_it_is_told_to_send_its_body(server: Server) -> None:
    client = server.client(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert server.answer(client, b"100 Continue\r\n\r\n")
    client.sendall(b"abc")
    assert server.answer(client, b"abc")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_not_http_is_told_so_in_the_same_form_as_all_errors(
    server: Server, sent: bytes, status: int
) -> None:
    answer = server.answer(server.client(sent))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in answer
    assert body_of(answer)["status"] == status
