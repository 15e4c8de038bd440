"""A limit of requests by client, counted in one small file that all gunicorn workers share in their memory.

The libraries for this count in each worker alone, so that the limit would depend on the number of workers, or in a
server such as Redis, which Sextant has no other use for. A lock would let one frozen worker stop all others, so
there is none: two workers that count at the same moment may lose a request, which a limit can bear.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import cast

import structlog

SECONDS = {"second": 1, "minute": 60, "hour": 3600}
SLOT = struct.Struct("<QII")  # a hash of the client, the period, and how many requests it sent then
SLOTS = 1 << 14
PROBES = 16
log = structlog.get_logger(__name__)


class RateLimit:
    """At most so many requests of one client in each second, minute or hour of the clock."""

    def __init__(self, rate: str, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        """`rate` is like 600/minute; without a file, the limit is this process's own."""
        number, _, unit = rate.partition("/")
        self._most, self._seconds, self._clock = int(number), SECONDS[unit], clock
        self._slots = _shared(file)

    def seconds_to_wait(self, client: str) -> float | None:
        """Count a request; None if it is within the limit, or else the seconds until the client may go on."""
        now = self._clock()
        period = int(now // self._seconds) % (1 << 32)
        if self._count(client, period) <= self._most:
            return None
        return max(1.0, self._seconds - now % self._seconds)

    def _count(self, client: str, period: int) -> int:
        """How many requests the client has sent in this period; 0 where there is no room for one more client."""
        name = int.from_bytes(blake2b(client.encode(), digest_size=8).digest())
        free = None
        for probe in range(PROBES):
            place = (name + probe) % SLOTS * SLOT.size
            found, when, number = cast("tuple[int, int, int]", SLOT.unpack_from(self._slots, place))
            if found == name and when == period:
                SLOT.pack_into(self._slots, place, name, period, min(number + 1, (1 << 32) - 1))
                return number + 1
            if when != period and free is None:
                free = place
        if free is None:
            return 0
        SLOT.pack_into(self._slots, free, name, period, 1)
        return 1


def _shared(file: Path | None) -> mmap.mmap:
    size = SLOTS * SLOT.size
    if file is not None:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # Room that is only promised would kill the process that writes to it when the disk is full.
                if os.fstat(descriptor).st_size < size:
                    os.pwrite(descriptor, bytes(size), 0)
                return mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("each worker counts for itself against the rate limit", reason=error.strerror)
    return mmap.mmap(-1, size)
