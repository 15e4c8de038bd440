"""Where the workers share their metrics: in memory, where a full disk cannot break them."""

import hashlib
import os
import shutil
from pathlib import Path

from sextant.infrastructure.settings import Settings, multiprocess_dir

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is our own, or is not used
ROOM_BYTES = 16 << 20
"""A worker takes about 0.2 MiB; a container has 64 MiB by default."""


def make_metrics_folder(settings: Settings, memory: Path = SHARED_MEMORY) -> Path:
    """An empty folder, readable by this user only; in DATA_DIR where there is no shared memory.

    prometheus_client maps its files into memory. A write to one for which the disk has no room ends the process.
    """
    name = f"prediction-{settings.prediction_port}"
    on_disk = settings.data_dir / "metrics" / name
    shutil.rmtree(on_disk, ignore_errors=True)
    data_dir = hashlib.sha256(str(settings.data_dir.resolve()).encode()).hexdigest()[:12]
    in_memory = memory / f"sextant-{os.getuid()}-{data_dir}-{name}"
    shutil.rmtree(in_memory, ignore_errors=True)
    try:
        if shutil.disk_usage(memory).free >= ROOM_BYTES:
            in_memory.mkdir(mode=0o700)  # fails where another user has made it
            return in_memory
    except OSError:
        pass
    on_disk.mkdir(mode=0o700, parents=True)
    return on_disk


def remove_metrics_folder() -> None:
    """Leave nothing in memory when the service has ended."""
    if folder := multiprocess_dir():
        shutil.rmtree(folder, ignore_errors=True)
