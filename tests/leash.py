"""Nothing that tests start outlives them, even if they are killed: every process inherits a mark."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def leash() -> Iterator[str]:
    """Mark every process that starts from here on, and end those that remain once this process is gone."""
    mark = f"SEXTANT_TESTS_{uuid.uuid4().hex}"
    # Not marked itself, and in a session of its own, so that what ends the tests spares it.
    watcher = subprocess.Popen(
        [sys.executable, "-S", __file__, mark], stdin=subprocess.PIPE, start_new_session=True
    )
    os.environ[mark] = "1"
    try:
        yield mark
    finally:
        del os.environ[mark]
        watcher.communicate()


def marked(mark: str) -> dict[int, str]:
    """The running processes that inherited the mark: process ids and command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if f"{mark}=".encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


if __name__ == "__main__":
    sys.stdin.read()  # until the process that holds the other end is gone
    while remaining := marked(sys.argv[1]):
        for process_id in remaining:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        time.sleep(0.05)
