"""A client's connection as gunicorn's parser and responses see it: reading and writing never wait."""

import socket
from contextlib import suppress

from sextant.infrastructure.request_bytes import RequestBytes

RECEIVE_BYTES = 256 << 10


class BufferedSocket:
    """Keeps a request until it is whole, and the part of a response that the client has not taken yet.

    The event loop calls fill() and flush(); a thread calls what a socket has, while the event loop does not.
    """

    def __init__(self, connection: socket.socket, max_body_bytes: int) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._max_body = max_body_bytes
        self._to_send = bytearray()
        self._to_read = bytearray()
        self.surplus = b""
        """What the client sent behind its request: the beginning of the next one."""
        self.request = RequestBytes(max_body_bytes)

    @property
    def held_bytes(self) -> int:
        """What it keeps in memory."""
        return len(self.request) + len(self._to_send)

    @property
    def unsent(self) -> bool:
        """Whether the client has not taken all of the response."""
        return bool(self._to_send)

    def begin(self) -> None:
        """Expect the next request."""
        self.request = RequestBytes(self._max_body)
        surplus, self.surplus = self.surplus, b""
        if surplus:
            self.request.feed(surplus)

    def fill(self) -> bool:
        """Take what has arrived; False when the client sends no more; raises OSError, TooLarge."""
        piece = self._socket.recv(RECEIVE_BYTES)
        if piece:
            self.request.feed(piece)
        return bool(piece)

    def discard(self) -> bool:
        """Drop what has arrived; False when the client sends no more; raises OSError."""
        return bool(self._socket.recv(RECEIVE_BYTES))

    def give(self) -> None:
        """Let the parser have the request."""
        whole, self.surplus = self.request.split()
        self.request = RequestBytes(self._max_body)
        self._to_read = bytearray(whole)

    def flush(self) -> None:
        """Send as much as the client takes."""
        try:
            while self._to_send:
                del self._to_send[: self._socket.send(self._to_send)]
        except BlockingIOError:
            pass
        except OSError:
            self._to_send.clear()

    def recv(self, size: int) -> bytes:
        """Bytes of the request; none where it ends."""
        piece = bytes(self._to_read[:size])
        del self._to_read[:size]
        return piece

    def sendall(self, data: bytes) -> None:
        """Send, or keep what the client does not take now; a client that is gone needs nothing."""
        self._to_send += data
        self.flush()

    send = sendall

    def fileno(self) -> int:
        """The descriptor that the event loop watches."""
        return self._socket.fileno()

    def shutdown(self, how: int) -> None:
        """End one direction."""
        self._socket.shutdown(how)

    def close(self) -> None:
        """End the connection; what is unread would reset it, and the client might not see its response."""
        with suppress(OSError):
            self._socket.recv(RECEIVE_BYTES)
        self._socket.close()

    def gettimeout(self) -> float:
        """It never waits."""
        return 0.0

    def settimeout(self, _seconds: float | None) -> None:
        """It never waits."""

    def setblocking(self, _flag: bool) -> None:
        """It never waits."""
