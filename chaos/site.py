"""The constellation under test: its processes on free ports, the proxies between them, and disks that can fail."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests

from chaos.disk import Disk, MemoryDisk
from chaos.programs import Program, wait_until
from chaos.proxy import Proxies
from chaos.shim import Shim
from sextant.infrastructure.settings import TELEMETRY_OFF, Settings, child_environment
from sextant.local.constellation import ROOT, commands
from sextant.local.leftovers import MARK, mark_of, stand_by

NAMES = ("mongo", "monitoring", "prediction", "relay")
SHIMMED = {"prediction", "relay", "monitoring"}
MONGO_MEGABYTES = 256
READY_SECONDS = 90.0
PORTS = range(10_240, 19_999)


class Site:
    """All that runs, in one folder; a context manager that leaves nothing behind."""

    def __init__(self, folder: Path, window_rows: int) -> None:
        self.folder = folder
        self.stopping = threading.Event()
        """Set when the faults end: whatever waits goes on at once."""
        self.data_dir = folder / "data"
        self._window_rows = window_rows
        self._mark = mark_of(self.data_dir, os.getpid())
        self._cleanup = ExitStack()

    def __enter__(self) -> "Site":
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._cleanup.close()

    def _start(self) -> None:
        self.ports = dict(zip([*NAMES, *(f"to {name}" for name in NAMES), "spare"], free_ports(9), strict=True))
        self._make_disks()
        leftovers = stand_by(self._mark)  # ends all of them even if this process is killed
        self._cleanup.callback(leftovers.communicate)
        proxies = Proxies()
        self._cleanup.callback(proxies.close)
        self.proxies = {
            name: proxies.add(self.ports[f"to {name}"], self.ports[name]) for name in NAMES if name != "relay"
        }
        (self.data_dir / "logs").mkdir(exist_ok=True)
        self.programs = {name: self._program(name) for name in NAMES}
        for program in self.programs.values():
            self._cleanup.callback(program.close)
            program.start()
        if not wait_until(self.is_ready, READY_SECONDS):
            raise RuntimeError(f"the constellation does not start; its logs are in {self.data_dir / 'logs'}")

    def _make_disks(self) -> None:
        self.disk = Disk.made(self.folder)
        self.mongo_disk = MemoryDisk.made(self.data_dir / "mongo", MONGO_MEGABYTES)
        for disk in (self.disk, self.mongo_disk):
            if disk:
                self._cleanup.callback(disk.close)
        self.outbox = (self.disk.folder if self.disk else self.data_dir) / "outbox" / "outbox.db"
        self.outbox.parent.mkdir(parents=True)
        (self.data_dir / "mongo").mkdir(exist_ok=True)
        self.shim = Shim.built(self.folder, self.outbox.parent)

    def _program(self, name: str) -> Program:
        environment = self.marked_environment
        if self.shim and name in SHIMMED:
            environment |= self.shim.environment
        return Program(name, commands()[name], environment, self.data_dir / "logs" / f"{name}.log")

    @property
    def marked_environment(self) -> dict[str, str]:
        """The same with the mark by which whatever is left running is found."""
        return {**self.environment, MARK: self._mark}

    @property
    def environment(self) -> dict[str, str]:
        """What the processes are told; settings of whoever started us do not count."""
        blank = {name.upper(): "" for name in Settings.model_fields}
        ports = {name: self.ports[name] for name in NAMES}
        bin_dir = str(Path(sys.executable).parent)
        return child_environment(
            **blank
            | {f"{name.upper()}_PORT": str(port) for name, port in ports.items() if name != "mongo"}
            | {
                "MONGODB_PORT": str(self.ports["mongo"]),
                "DATA_DIR": str(self.data_dir),
                "OUTBOX_PATH": str(self.outbox),
                "MONGODB_URI": f"mongodb://127.0.0.1:{self.ports['to mongo']}",
                "MONITORING_URL": f"http://127.0.0.1:{self.ports['to monitoring']}",
                "PREDICTION_WORKERS": "2",
                "WINDOW_SIZE": str(self._window_rows),
                "EVALUATE_EVERY": "5",
                "MULTIVARIATE_EVERY": "15",
                "PATH": f"{bin_dir}:{child_environment().get('PATH', os.defpath)}",
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                **TELEMETRY_OFF,
            }
        )

    @property
    def url(self) -> str:
        """The prediction service, through its proxy."""
        return f"http://127.0.0.1:{self.ports['to prediction']}"

    @property
    def monitoring_url(self) -> str:
        """The monitoring service itself."""
        return f"http://127.0.0.1:{self.ports['monitoring']}"

    @property
    def relay_url(self) -> str:
        """The relay's metrics."""
        return f"http://127.0.0.1:{self.ports['relay']}"

    @property
    def mongodb_uri(self) -> str:
        """MongoDB's stand-in itself."""
        return f"mongodb://127.0.0.1:{self.ports['mongo']}"

    def is_ready(self) -> bool:
        """Whether all that has a page for it says so."""
        urls = (f"{self.url}/readyz", f"{self.relay_url}/metrics", f"{self.monitoring_url}/readyz")
        try:
            return all(requests.get(url, timeout=5).ok for url in urls)
        except requests.RequestException:
            return False

    def pause(self, seconds: float) -> None:
        """Wait, or until the faults end."""
        self.stopping.wait(seconds)

    @contextmanager
    def deliveries_held_back(self) -> Iterator[None]:
        """Let events pile up in the outbox, so that there is something to lose."""
        with self.proxies["mongo"].refusing(), self.proxies["monitoring"].refusing():
            yield

    @contextmanager
    def outbox_closed(self) -> Iterator[None]:
        """Kill whoever has the outbox open, and keep them down."""
        with self.programs["prediction"].held_down(), self.programs["relay"].held_down():
            yield


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below those that a system gives to outgoing connections."""
    found: list[int] = []
    start = PORTS.start + os.getpid() % len(PORTS)
    for port in (*range(start, PORTS.stop), *PORTS):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"there are no {count} free ports in {PORTS}")
