"""The constellation's processes: kept running as a supervisor does, and killed, frozen and stopped on demand."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_SECONDS = 0.05
START_AGAIN_SECONDS = 0.3
STOP_SECONDS = 8.0
GONE_SECONDS = 10.0


class Program:
    """One process with its children, started again whenever it ends, unless it is held down."""

    def __init__(self, name: str, command: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.ended_unasked: list[int] = []
        """Exit codes of the times that it ended and nobody had asked for it."""
        self._command, self._environment, self._log = f"exec {command}", dict(environment), log
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.RLock()
        self._held = 0
        self._asked = False
        self._closed = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of {name}", daemon=True)

    def start(self) -> None:
        """Start it, and keep it running from now on."""
        self._launch()
        self._keeper.start()

    def _launch(self) -> None:
        with self._guard, self._log.open("ab") as log:
            self._asked = False
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _keep(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            with self._guard:
                code = self._process.poll() if self._process else None
                if code is None or self._held:
                    continue
                if not self._asked and code != -signal.SIGKILL:  # which only we send
                    self.ended_unasked.append(code)
                self._end_session()
            if not self._closed.wait(START_AGAIN_SECONDS):
                with self._guard:
                    if not self._held:
                        self._launch()

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def workers(self) -> list[int]:
        """The process ids of its children; empty while it is down."""
        try:
            tasks = Path(f"/proc/{self.pid}/task/{self.pid}/children")
            return [int(pid) for pid in tasks.read_text().split()]
        except OSError:
            return []

    @property
    def pid(self) -> int:
        """Its process id, or that of its predecessor while it is down."""
        return self._process.pid if self._process else 0

    def signal(self, number: int) -> None:
        """Send a signal to the process itself, not to its children."""
        with self._guard:
            if self._process is not None and self._process.poll() is None:
                self._asked = self._asked or number in (signal.SIGKILL, signal.SIGTERM)
                self._process.send_signal(number)

    def restart(self) -> None:
        """Ask it to end, as an orchestrator does: what does not hear is killed. It is started again."""
        self.signal(signal.SIGTERM)
        self._wait_until_ended(STOP_SECONDS)

    def _wait_until_ended(self, seconds: float) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._asked = True
            process.kill()
            process.wait(GONE_SECONDS)

    @contextmanager
    def held_down(self) -> Iterator[None]:
        """Kill it with all that it started, and keep it down for the time of the block."""
        with self._guard:
            self._held += 1
            self._asked = True
            self._end_session()
        try:
            if self._process is not None:
                self._process.wait(GONE_SECONDS)
                wait_until(self._session_is_gone, 1, pause=0.01)
            yield
        finally:
            with self._guard:
                self._held -= 1

    def _end_session(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _session_is_gone(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def close(self) -> None:
        """End it and all that it started."""
        self._closed.set()
        if self._keeper.is_alive():
            self._keeper.join(GONE_SECONDS)
        self.signal(signal.SIGCONT)
        self._end_session()
        if self._process is not None:
            self._process.wait(GONE_SECONDS)


def send(pid: int, number: int) -> bool:
    """Send a signal to a process that may be gone by now; whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], object], seconds: float, pause: float = 0.1) -> bool:
    """Wait for something; whether it came in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
