"""Reports on disk: whole or not there at all."""

import os
import tempfile
from pathlib import Path

from sextant.contracts.errors import Retryable


def write_atomically(path: Path, text: str) -> None:
    """Write the file under another name and move it into place; Retryable if the disk refuses it."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=path.suffix)
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # mkstemp makes it private; the web server is somebody else
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise Retryable(f"could not write {path}: {error.strerror or error}") from error
