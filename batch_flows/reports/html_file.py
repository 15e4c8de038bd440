"""Reports on disk: whole or not there at all."""

from pathlib import Path

from sextant.contracts import files
from sextant.contracts.errors import Retryable


def write_atomically(path: Path, text: str) -> None:
    """Write the file under another name and move it into place; Retryable if the disk refuses it."""
    try:
        files.write_atomically(path, text)
    except OSError as error:
        raise Retryable(f"could not write {path}: {error.strerror or error}") from error
