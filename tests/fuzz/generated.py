"""Sends what the generators draw, each request on a connection of its own."""

import re
import socket
from collections.abc import Mapping

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.requests import Request, requests
from tests.fuzz.table import HANG, NO_ANSWER, Table

SECONDS = 20.0
STATUS = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d) ")
STATED = re.compile(
    rb"\r\nretry-after: .*application/problem\+json|application/problem\+json.*\r\nretry-after: ", re.I | re.S
)


def exchange(port: int, data: bytes) -> bytes | None:
    """All that is answered to these bytes, behind which nothing more comes; None: no end of it within SECONDS."""
    got = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:  # it was closed meanwhile; the answer may be there
            pass
        try:
            while piece := client.recv(1 << 20):
                got += piece
        except ConnectionResetError:
            pass
        except TimeoutError:
            return None
    return bytes(got)


def send(ports: Mapping[str, int], request: Request, table: Table) -> None:
    """Send one request and count what came of it."""
    answer = exchange(ports[request.route.service], request.data)
    found = STATUS.search(answer) if answer is not None else None
    status = HANG if answer is None else found[1].decode() if found else NO_ANSWER
    head = (answer or b"").partition(b"\r\n\r\n")[0]
    table.add(request.route.service, request.route.path, status, request.data, STATED.search(head) is not None)


def fuzz(ports: Mapping[str, int], count: int, of: int, table: Table) -> None:
    """Send so many drawn requests."""

    @seed(of)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests())
    def run(request: Request) -> None:
        send(ports, request, table)

    run()
