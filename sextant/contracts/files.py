"""Atomic writing of every file below data/: a reader sees it complete or not at all.

It stands among the contracts because the bundle and the kept calibrations need it, which may import nothing else.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

READABLE = 0o644
"""The web server and the other containers are somebody else."""


def write_atomically(path: Path, content: str | bytes, *, mode: int = READABLE) -> None:
    """Write the file, text in UTF-8, and its folder where that is missing; raises OSError."""
    with replacing(path, mode=mode) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, mode: int = READABLE) -> Iterator[BinaryIO]:
    """A stream to a hidden file beside it, which takes its place once it is on disk; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")  # 0600 from its first byte
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The new name survives a power cut only when its folder is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_data(descriptor: int) -> None:
    """Force what was written to the disk; raises OSError. On macOS, a sync leaves it in the drive's memory."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)
