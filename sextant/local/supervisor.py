"""The supervisor: keeps the Procfile's programs running, restarts those that end, and stops all of them."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from sextant.infrastructure.settings import Settings, child_environment, load_settings
from sextant.local.constellation import all_programs, commands
from sextant.local.leftovers import MARK, mark_of, stand_by

CRASHES = 5
WITHIN_SECONDS = 30.0
STOP_SECONDS = 10.0
CANNOT_START = 127
STDOUT, STDERR = 1, 2
FLOCK = "hhqqi"  # Linux's struct flock: type, whence, start, length, process


_log_failed = threading.Event()


def say(line: str) -> None:
    """One line of the supervisor's log; when it cannot be written, one on stderr, and the programs run on."""
    try:
        # One write, since threads share the log; unbuffered, or it would fail again when the process ends.
        os.write(STDOUT, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n".encode())
        _log_failed.clear()
    except OSError as error:
        if not _log_failed.is_set():
            _log_failed.set()
            with suppress(OSError):
                os.write(STDERR, f"the supervisor's log cannot be written: {error.strerror}\n".encode())


class SupervisedProcess:
    """Runs a shell command again whenever it ends unasked, until it crashes too often."""

    def __init__(
        self,
        name: str,
        command: str,
        log_file: Path,
        environment: Mapping[str, str],
        *,
        say: Callable[[str], None] = say,
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
        try:
            with self._open_log() as log:
                self._process = process = subprocess.Popen(
                    ["/bin/sh", "-c", self._command],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            self._say(f"{self.name} cannot be started: {error.strerror}")
            return CANNOT_START
        self._say(f"{self.name} started (process {process.pid})")
        if self._stopping.is_set():  # stop() came while it started and saw the one before
            self._end(process)
        code = process.wait()
        _kill_session(process)  # its children would hold the port that its successor needs
        return code

    def _open_log(self) -> BinaryIO:
        try:
            return self._log_file.open("ab")
        except OSError as error:
            self._say(f"{self.name} runs without a log: {error.strerror}")
            return Path(os.devnull).open("ab")

    def stop(self) -> None:
        """Ask the program to end, and after STOP_SECONDS end it and all that it started."""
        self._stopping.set()
        if self._process is not None:
            self._end(self._process)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._say(f"{self.name} does not stop; killing it")
        _kill_session(process)


def _kill_session(process: "subprocess.Popen[bytes]") -> None:
    """End whatever is left of a program's session."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(process.pid, signal.SIGKILL)


def supervise(settings: Settings, names: Sequence[str], stop: threading.Event) -> bool:
    """Run the named programs until `stop` is set (True) or one that must be there gave up (False).

    One that need not be there is given up alone. None is left running.
    """
    mark = mark_of(settings.data_dir, os.getpid())
    leftovers = stand_by(mark)
    environment = child_environment(**{MARK: mark})
    optional = {program.name for program in all_programs(settings) if program.optional}
    logs = settings.data_dir / "logs"
    processes = [SupervisedProcess(name, commands()[name], logs / f"{name}.log", environment) for name in names]
    failed = threading.Event()

    def run(process: SupervisedProcess) -> None:
        if process.run():
            return
        if process.name in optional:
            say(f"{process.name} is given up; the others go on without it")
            return
        failed.set()
        stop.set()

    threads = [threading.Thread(target=run, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    stop.wait()
    stoppers = [threading.Thread(target=process.stop) for process in processes]
    for thread in stoppers:
        thread.start()
    for thread in stoppers + threads:
        thread.join()
    leftovers.communicate()
    say("stopped")
    return not failed.is_set()


def lock_file(settings: Settings) -> Path:
    """Locked by the supervisor while it lives; holds its process id for people to read."""
    return settings.data_dir / "constellation.pid"


def hold_lock(path: Path) -> bool:
    """Take the file's lock and write our process id into it; False when another process has it.

    The kernel gives it back when nothing of this process is left, so whoever waits for it need not look again.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return True


def lock_holder(path: Path) -> int | None:
    """The process that holds the file's lock, as the kernel says: the id in the file may be its predecessor's."""
    try:
        with path.open("rb") as stream:
            question = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(stream, fcntl.F_GETLK, question))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


def main() -> None:
    """Hold the data folder's lock and supervise the named programs until SIGTERM or SIGINT."""
    settings = load_settings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not hold_lock(lock_file(settings)):
        sys.exit("the constellation is already running")
    sys.exit(0 if supervise(settings, sys.argv[1:], stop) else 1)


if __name__ == "__main__":
    main()
