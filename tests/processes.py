"""Real processes for tests: started on free ports, waited for, killed and started again, and never left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from itertools import cycle
from pathlib import Path

import requests
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from sextant.infrastructure.settings import Settings
from tests.calibrations import find_thresholds, share

RATE = Settings.model_fields["false_alarm_rate"].default
ROOT = Path(__file__).resolve().parent.parent
WAIT_SECONDS = 120.0
TOKEN = "the-secret-of-relay-and-monitoring"  # noqa: S105 - of tests alone
AS_RELAY = {"Authorization": f"Bearer {TOKEN}"}
NX = str(Path(sys.executable).with_name("nx-27017"))


PORTS_OF_A_PROCESS = 250
PORTS = range(20_000, 32_500, PORTS_OF_A_PROCESS)  # below those that a system gives to outgoing connections


def free_port() -> int:
    """A port that nobody listens on, and that no other process of tests is given."""
    for port in _own_ports():
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("ports are offered again and again")


@cache
def _own_ports() -> Iterator[int]:
    """The block of ports of this process; the first stays bound, so that others take another block."""
    for first in PORTS:
        with suppress(OSError):
            _first_of_block.bind(("127.0.0.1", first))
            return cycle(range(first + 1, first + PORTS_OF_A_PROCESS))
    raise RuntimeError(f"no block of free ports in {PORTS}")


_first_of_block = socket.socket()


def wait_until(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline, pause = time.monotonic() + seconds, 0.02
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.5)  # what is asked every moment has less time to get there


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def post_events(
    url: str, body: object, *, timeout: float = 10.0, via: requests.Session | None = None
) -> requests.Response:
    """POST /events as the relay does."""
    return (via or requests).post(f"{url}/events", json=body, headers=AS_RELAY, timeout=timeout)


class Program:
    """One program with all that it starts; start() again after kill()."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, ready: Callable[[], bool]):
        self.command = command
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self.log = log
        self.ready = ready
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> "Program":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, f"{self.command} ended:\n{self.log.read_text()[-3000:]}"
            return self.ready()

        wait_until(is_ready, f"{self.command} to be ready")

    def kill(self) -> None:
        """kill -9 of the program and of all that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM, as an orchestrator would; returns the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in tasks.read_text().split()]


class Services:
    """The services under test, sharing one data folder and one set of free ports."""

    def __init__(self, folder: Path, calibrations: Path | None = None) -> None:
        """Thresholds in `calibrations` are shared with other tests; without it, each service finds its own."""
        self.folder = folder
        self.calibrations = calibrations
        self.data_dir = folder / "data"
        self.models_dir = self.data_dir / "models"
        self.ports = {name: free_port() for name in ("prediction", "relay", "monitoring", "mongodb")}
        self.mongodb_uri = f"mongodb://127.0.0.1:{self.ports['mongodb']}"
        self.prediction_url = f"http://127.0.0.1:{self.ports['prediction']}"
        self.monitoring_url = f"http://127.0.0.1:{self.ports['monitoring']}"
        self.relay_url = f"http://127.0.0.1:{self.ports['relay']}"
        self.environment = {
            "DATA_DIR": str(self.data_dir),
            "MONGODB_URI": self.mongodb_uri,
            "MONITORING_URL": self.monitoring_url,
            "PREDICTION_URL": self.prediction_url,
            "EVENTS_TOKEN": TOKEN,
            **{f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
        }
        self.programs: list[Program] = []
        if calibrations:
            share(self.data_dir, calibrations)

    def _program(self, name: str, arguments: list[str], ready: Callable[[], bool], **more: str) -> Program:
        log = self.folder / f"{name}.log"
        program = Program([sys.executable, *arguments], {**self.environment, **more}, log, ready)
        self.programs.append(program)
        return program

    def mongo(self) -> Program:
        """nx-27017: MongoDB's wire protocol over SQLite."""
        (self.data_dir / "mongo").mkdir(parents=True, exist_ok=True)
        arguments = [NX, "--data-dir", str(self.data_dir / "mongo"), "--host", "127.0.0.1"]
        arguments += ["--port", str(self.ports["mongodb"])]
        arguments += ["--pid-file", str(self.folder / "nx.pid"), "--log-file", str(self.folder / "nx.log")]
        return self._program("mongo", arguments, self._mongo_answers)

    def _mongo_answers(self) -> bool:
        client = MongoClient(self.mongodb_uri, serverSelectionTimeoutMS=500)
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
        finally:
            client.close()
        return True

    def prediction(self, **more: str) -> Program:
        ready = f"{self.prediction_url}/readyz"
        return self._program("prediction", ["-m", "prediction_service"], lambda: answers(ready), **more)

    def relay(self, **more: str) -> Program:
        ready = f"{self.relay_url}/metrics"
        return self._program("relay", ["-m", "prediction_service.relay"], lambda: answers(ready), **more)

    def monitoring(self, **more: str) -> Program:
        if self.calibrations:
            find_thresholds(self.models_dir, self.calibrations, float(more.get("FALSE_ALARM_RATE", RATE)))
        ready = f"{self.monitoring_url}/readyz"
        return self._program("monitoring", ["-m", "monitoring_service"], lambda: answers(ready), **more)

    def stop_all(self) -> None:
        """All at once; whether ours end well is tested where it matters."""
        for program in self.programs:
            if program.process is not None and program.process.poll() is None:
                # nx-27017 now and then does not hear SIGTERM.
                program.process.send_signal(signal.SIGKILL if program.command[1:2] == [NX] else signal.SIGTERM)
        for program in self.programs:
            with suppress(subprocess.TimeoutExpired):
                program.stop(10)
