"""Starts and stops the local constellation, and tells whether it is there."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings
from sextant.local.constellation import ROOT, Constellation, Part, constellation, ports_in_use, without_taken_ports
from sextant.local.environment import environment
from sextant.local.observability import write_alertmanager_file, write_prometheus_files

READY_SECONDS = 120.0
OPTIONAL_SECONDS = 10.0
STOP_SECONDS = 30.0


def pid_file(settings: Settings) -> Path:
    """Holds the supervisor's process id and, while it lives, its lock."""
    return settings.data_dir / "constellation.pid"


def running_pid(settings: Settings) -> int | None:
    """The supervisor's process id, if a constellation runs on this data folder."""
    try:
        with pid_file(settings).open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(stream.read())
    except FileNotFoundError:
        pass
    return None


def startable(settings: Settings) -> Constellation:
    """What can start now; raises Fatal when it runs already or the port of a part that must be there is taken."""
    if pid := running_pid(settings):
        raise Fatal(f"the constellation is already running (process {pid}); stop it with: make down")
    there = without_taken_ports(constellation(settings))
    if taken := ports_in_use(there.parts):
        raise Fatal(f"port in use: {', '.join(taken)}; stop what listens there or set another port")
    return there


def start(settings: Settings, there: Constellation) -> "subprocess.Popen[bytes]":
    """Write what the parts read and start the supervisor in a session of its own."""
    for folder in ("logs", "mongo", "reports", "prefect", "outbox", "grafana"):
        (settings.data_dir / folder).mkdir(parents=True, exist_ok=True)
    write_prometheus_files(settings, there)
    if there.port("alertmanager"):
        write_alertmanager_file(settings)
    with (settings.data_dir / "logs" / "constellation.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "sextant.local.supervise", *(part.name for part in there.parts)],
            cwd=ROOT,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(
    settings: Settings, process: "subprocess.Popen[bytes]", there: Constellation, on_ready: Callable[[Part], None]
) -> tuple[Part, ...]:
    """Wait for every part; raises Fatal when one does not answer in time.

    Returns the optional parts that kept everyone else waiting for more than OPTIONAL_SECONDS.
    """
    waiting = [part for part in there.parts if part.ready_path]
    deadline = time.monotonic() + READY_SECONDS
    while waiting:
        for part in [part for part in waiting if answers(part)]:
            waiting.remove(part)
            on_ready(part)
        if all(part.programs for part in waiting):
            deadline = min(deadline, time.monotonic() + OPTIONAL_SECONDS)
        if process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        elif process.poll() is None and all(part.programs for part in waiting):
            break
        else:
            names = ", ".join(part.name for part in waiting)
            raise Fatal(f"not ready: {names}; see {settings.data_dir}/logs/, constellation.log first")
    return tuple(waiting)


def answers(part: Part) -> bool:
    """Whether a part says that it is ready."""
    try:
        return requests.get(f"http://127.0.0.1:{part.port}{part.ready_path}", timeout=5).ok
    except requests.RequestException:
        return False


def stop(settings: Settings) -> bool:
    """Stop the constellation and wait until it is gone; returns whether one was running."""
    pid = running_pid(settings)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running_pid(settings) is not None:
        if time.monotonic() > deadline:
            raise Fatal(f"process {pid} does not stop")
        time.sleep(0.1)
    return True
