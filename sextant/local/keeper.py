"""Keeps one program of the constellation running: output to a log file, and a restart after a crash."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

CRASHES = 5
WITHIN_SECONDS = 30.0
STOP_SECONDS = 10.0


class Keeper:
    """Runs a shell command again whenever it ends unasked, until it crashes too often."""

    def __init__(
        self,
        name: str,
        command: str,
        log_file: Path,
        environment: Mapping[str, str],
        *,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._command = f"exec {command}"
        self._log_file = log_file
        self._environment = dict(environment)
        self._say = say
        self._clock = clock
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> bool:
        """Run until stop() (True) or until it crashed CRASHES times WITHIN_SECONDS (False)."""
        crashes: list[float] = []
        while not self._stopping.is_set():
            code = self._run_once()
            if self._stopping.is_set():
                break
            crashes = [at for at in crashes if self._clock() - at < WITHIN_SECONDS] + [self._clock()]
            if len(crashes) >= CRASHES:
                self._say(f"{self.name} ended {CRASHES} times in {WITHIN_SECONDS:.0f} s (exit {code}); giving up")
                return False
            self._say(f"{self.name} ended unasked (exit {code}); starting it again")
            self._stopping.wait(0.5 * len(crashes))
        return True

    def _run_once(self) -> int:
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._say(f"{self.name} started (process {self._process.pid})")
        if self._stopping.is_set():  # stop() came while it started and saw the one before
            self._process.terminate()
        return self._process.wait()

    def stop(self) -> None:
        """Ask the program to end, and after STOP_SECONDS end it and all that it started."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._say(f"{self.name} does not stop; killing it")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever it left behind in its session
