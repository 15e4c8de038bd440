"""A small TCP proxy between two processes, on which connections are reset, refused or slow for a while."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

CHUNK = 1 << 16
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() sends a reset


class Proxies:
    """One event loop in a thread of its own, for all proxies."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._all: list[Proxy] = []

    def add(self, port: int, to: int) -> "Proxy":
        """A proxy that listens on a port of the loopback and leads to another one."""
        proxy = Proxy(self.loop, port, to)
        self._all.append(proxy)
        return proxy

    def close(self) -> None:
        """Close all connections and end the thread."""
        for proxy in self._all:
            proxy.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)


class Proxy:
    """Passes bytes between one port and another; its methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int, to: int) -> None:
        self._loop, self._port, self._to = loop, port, to
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._delay = 0.0
        self._refusals = 0
        self._guard = threading.Lock()
        self._call(self._listen(True))

    def reset(self) -> None:
        """Reset every open connection."""
        self._call(self._reset())

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Reset what is open, and let nobody connect for the time of the block."""
        self._count_refusals(+1)
        try:
            yield
        finally:
            self._count_refusals(-1)

    def _count_refusals(self, change: int) -> None:
        with self._guard:
            self._refusals += change
            self._call(self._listen(not self._refusals))
        if change > 0:
            self.reset()

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """Hold each chunk back for so long, for the time of the block."""
        self._delay = seconds
        try:
            yield
        finally:
            self._delay = 0.0

    def close(self) -> None:
        """Close all connections and listen no more."""
        self._call(self._listen(False))
        self.reset()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, listening: bool) -> None:
        if listening and self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        elif not listening and self._server is not None:
            self._server.close()
            self._server = None

    async def _reset(self) -> None:
        for writer in list(self._open):
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            await self._close(writer)
            return
        self._open.add(back)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        await self._close(back)
        await self._close(writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(chunk)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            return
        writer.transport.abort()

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
