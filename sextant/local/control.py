"""Starts and stops the local constellation, and reports whether it runs."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings
from sextant.local.constellation import (
    ROOT,
    Constellation,
    Program,
    constellation,
    ports_in_use,
    without_taken_ports,
)
from sextant.local.environment import environment, write_alertmanager_file, write_prometheus_files
from sextant.local.leftovers import end, mark_of, running
from sextant.local.supervisor import GIVING_UP, lock_file, lock_holder

PRIVATE = ("logs", "mongo", "prefect", "prometheus", "alertmanager", "outbox", "grafana", "secrets", "keys")
"""The folders of DATA_DIR that hold what clients sent, or secrets; reports and models are made to be read."""
READY_SECONDS = 120.0
OPTIONAL_SECONDS = 10.0
STOP_SECONDS = 30.0


def startable(settings: Settings) -> Constellation:
    """What can start now; raises Fatal when it runs already, or finds no port for a program that must be there."""
    if pid := lock_holder(lock_file(settings)):
        raise Fatal(f"the constellation is already running (process {pid}); stop it with: make down")
    if running(mark_of(settings.data_dir)):
        raise Fatal("programs of a constellation whose supervisor was killed still run; end them with: make down")
    found = without_taken_ports(constellation(settings))
    if taken := ports_in_use(found.programs):
        raise Fatal(f"port in use: {', '.join(taken)}; stop what listens there or set another port")
    return found


def start(settings: Settings, found: Constellation) -> "subprocess.Popen[bytes]":
    """Write what the programs read and start the supervisor in a session of its own."""
    (settings.data_dir / "reports").mkdir(parents=True, exist_ok=True)
    for name in PRIVATE:
        folder = settings.data_dir / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)  # also where an earlier version made it
    write_prometheus_files(settings, found)
    if found.port("alertmanager"):
        write_alertmanager_file(settings)
    with _log(settings).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "sextant.local.supervisor", *(program.name for program in found.programs)],
            cwd=ROOT,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,  # what clients sent is for nobody else on this machine
        )


def wait_until_ready(
    settings: Settings,
    process: "subprocess.Popen[bytes]",
    found: Constellation,
    on_ready: Callable[[Program], None],
) -> tuple[Program, ...]:
    """Wait for every program; raises Fatal when one does not answer in time, or cannot start.

    Afterwards the supervisor starts again whatever ends, for ever. Returns the optional programs that kept
    everyone else waiting for more than OPTIONAL_SECONDS.
    """
    waiting = [program for program in found.programs if program.ready_path]
    deadline = time.monotonic() + READY_SECONDS
    while waiting:
        for program in [program for program in waiting if answers(program)]:
            waiting.remove(program)
            on_ready(program)
        if all(program.optional for program in waiting):
            deadline = min(deadline, time.monotonic() + OPTIONAL_SECONDS)
        if process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        elif process.poll() is None and all(program.optional for program in waiting):
            break
        else:
            names = ", ".join(program.name for program in waiting)
            reason = _given_up(settings) if process.poll() is not None else None
            raise Fatal(reason or f"not ready: {names}; see {settings.data_dir}/logs/, constellation.log first")
    process.send_signal(signal.SIGUSR1)
    return tuple(waiting)


def _log(settings: Settings) -> Path:
    return settings.data_dir / "logs" / "constellation.log"


def _given_up(settings: Settings) -> str | None:
    """The supervisor's last line about a program that cannot start."""
    lines = _log(settings).read_text(errors="replace").splitlines() if _log(settings).exists() else []
    found = next((line for line in reversed(lines) if GIVING_UP in line), None)
    return found and found.partition(" ")[2]


def answers(program: Program) -> bool:
    """Whether a program says that it is ready."""
    try:
        return requests.get(f"http://127.0.0.1:{program.port}{program.ready_path}", timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def starting(settings: Settings) -> Iterator[None]:
    """Hold the right to start a constellation in this data folder; raises Fatal while another process has it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "starting.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fatal("the constellation is already starting, from another terminal") from None
        yield


def stop(settings: Settings) -> bool:
    """End the constellation and what is left of one; returns whether there was any. Raises Fatal if some stays."""
    pid = lock_holder(lock_file(settings))
    if pid is not None:
        _stop_supervisor(settings, pid)
    found = running(mark_of(settings.data_dir))
    if left := end(mark_of(settings.data_dir)):
        raise Fatal(f"these processes do not end: {', '.join(map(str, left))}")
    return pid is not None or bool(found)


def _stop_supervisor(settings: Settings, pid: int) -> None:
    number = signal.SIGTERM
    while lock_holder(lock_file(settings)) == pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while lock_holder(lock_file(settings)) == pid and time.monotonic() < deadline:
            time.sleep(0.1)
        number = signal.SIGKILL


def orphans(settings: Settings) -> bool:
    """Whether programs run whose supervisor is gone."""
    return lock_holder(lock_file(settings)) is None and bool(running(mark_of(settings.data_dir)))
