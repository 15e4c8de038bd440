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
SOON_SECONDS = 30.0  # after its start
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
GIVING_UP = "giving up"
LAST_WORDS_BYTES = 2_000
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
    """Runs a shell command again whenever it ends unasked, after a pause that grows.

    While the constellation starts, one that ends again and again is given up: then its settings are wrong, and
    whoever starts it is there to read why. Later nobody is, and what ails it, such as a full disk, may pass.
    """

    def __init__(
        self,
        name: str,
        command: str,
        log_file: Path,
        environment: Mapping[str, str],
        *,
        ready: threading.Event,
        say: Callable[[str], None] = say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._command = f"exec {command}"
        self._log_file = log_file
        self._environment = dict(environment)
        self._ready = ready
        self._say = say
        self._clock = clock
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> bool:
        """Run until stop() (True), or until it ended CRASHES times in a row before all were ready (False)."""
        crashes = 0
        while not self._stopping.is_set():
            began = self._clock()
            code = self._run_once()
            if self._stopping.is_set():
                break
            crashes = crashes + 1 if self._clock() - began < SOON_SECONDS else 1
            if crashes >= CRASHES and not self._ready.is_set():
                self._say(f"{self.name} ended {crashes} times (exit {code}), {GIVING_UP}: {self._last_words()}")
                return False
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(crashes - 1, 10))
            self._say(f"{self.name} ended unasked (exit {code}); starting it again in {pause:g} s")
            self._stopping.wait(pause)
        return True

    def _last_words(self) -> str:
        """The last line of its log, which says what is wrong where a setting is."""
        try:
            with self._log_file.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_WORDS_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError as error:
            return f"its log cannot be read: {error.strerror}"
        return lines[-1] if lines else "it said nothing"

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


def supervise(settings: Settings, names: Sequence[str], stop: threading.Event, ready: threading.Event) -> bool:
    """Run the named programs until `stop` is set (True) or one that must be there was given up (False).

    One that need not be there is given up alone; none is once `ready` is set. None is left running.
    """
    mark = mark_of(settings.data_dir, os.getpid())
    leftovers = stand_by(mark)
    environment = child_environment(**{MARK: mark})
    optional = {program.name for program in all_programs(settings) if program.optional}
    logs = settings.data_dir / "logs"
    processes = [
        SupervisedProcess(name, commands()[name], logs / f"{name}.log", environment, ready=ready) for name in names
    ]
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
    """Hold the data folder's lock and supervise the named programs until SIGTERM or SIGINT.

    SIGUSR1 says that all of them are ready.
    """
    settings = load_settings()
    stop, ready = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGUSR1, lambda *_: ready.set())
    if not hold_lock(lock_file(settings)):
        sys.exit("the constellation is already running")
    sys.exit(0 if supervise(settings, sys.argv[1:], stop, ready) else 1)


if __name__ == "__main__":
    main()
