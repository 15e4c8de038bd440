"""Where the workers share their metrics: in memory, where a full disk cannot break them."""

import fcntl
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sextant.infrastructure.settings import Settings, multiprocess_dir

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is our own, or is not used
ROOM_BYTES = 16 << 20
"""A worker takes about 0.2 MiB; a container has 64 MiB by default."""

STARTING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class MetricsFolder:
    """A folder, and the lock that is held on it for as long as one of the service's processes lives."""

    path: Path
    lock: int | None = None


def make_metrics_folder(settings: Settings, memory: Path = SHARED_MEMORY) -> MetricsFolder:
    """An empty folder, readable by this user only; in DATA_DIR where there is no shared memory.

    prometheus_client maps its files into memory. A write to one for which the disk has no room ends the process.
    """
    name = f"prediction-{settings.prediction_port}"
    on_disk = settings.data_dir / "metrics" / name
    shutil.rmtree(on_disk, ignore_errors=True)
    prefix = f"sextant-{os.getuid()}-"
    data_dir = hashlib.sha256(str(settings.data_dir.resolve()).encode()).hexdigest()[:12]
    in_memory = memory / f"{prefix}{data_dir}-{name}"
    try:
        for left in memory.glob(f"{prefix}*"):
            if left == in_memory or time.time() - left.stat().st_mtime > STARTING_SECONDS:
                _remove_if_nobody_uses(left)
        if shutil.disk_usage(memory).free >= ROOM_BYTES:
            in_memory.mkdir(mode=0o700)  # fails where it is in use, or another user has made it
            return MetricsFolder(in_memory, _locked(in_memory))
    except OSError:
        pass
    on_disk.mkdir(mode=0o700, parents=True)
    return MetricsFolder(on_disk)


def remove_metrics_folder() -> None:
    """Leave nothing in memory when the service has ended."""
    if folder := multiprocess_dir():
        shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock; what this process becomes, and forks, inherits it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    os.set_inheritable(descriptor, True)
    return descriptor


def _remove_if_nobody_uses(folder: Path) -> None:
    """Remove what a killed service has left."""
    try:
        lock = _locked(folder)
    except OSError:
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
