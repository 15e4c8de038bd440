"""Ends what a supervisor's programs leave behind, also after the supervisor itself was killed.

Runs as a script too, which stands by while a supervisor lives; so it imports nothing but the standard library.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "SEXTANT_CONSTELLATION"
"""Each program of a constellation inherits this variable, whose value is DATA_DIR and the supervisor's process."""
TERM_SECONDS = 10.0
KILL_SECONDS = 10.0


def mark_of(data_dir: Path, supervisor: int | None = None) -> str:
    """What all programs of this supervisor have in their environment, or of any that this data folder ever had."""
    return f"{data_dir.resolve()}#{'' if supervisor is None else f'{supervisor}#'}"


def running(mark: str) -> list[int]:
    """The processes that were started with this mark, and theirs."""
    start = f"{MARK}={mark}".encode()
    return [pid for pid, environment in _environments() if any(each.startswith(start) for each in environment)]


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    if not Path("/proc/self/environ").exists():
        yield from _environments_by_ps()
        return
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            yield int(process.name), (process / "environ").read_bytes().split(b"\0")


def _environments_by_ps() -> Iterator[tuple[int, list[bytes]]]:
    """On macOS; a data folder with a blank in its name is not recognised."""
    listed = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, check=False).stdout
    for line in listed.splitlines():
        pid, *words = line.split()
        yield int(pid), words


def end(mark: str) -> list[int]:
    """Ask them to end, and after TERM_SECONDS end them; those that are still there."""
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        asked: set[int] = set()
        deadline = time.monotonic() + seconds
        while (left := running(mark)) and time.monotonic() < deadline:
            for pid in set(left) - asked:  # they may start others meanwhile
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            asked.update(left)
            time.sleep(0.1)
    return left


def stand_by(mark: str) -> "subprocess.Popen[bytes]":
    """A process that ends them once this one is gone, however that happens; close its input to let it go."""
    command = [sys.executable, "-I", "-S", __file__, mark]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


if __name__ == "__main__":
    sys.stdin.read()  # until the process that holds the other end is gone
    end(sys.argv[1])
