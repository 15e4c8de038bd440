"""Secrets that are made at the first start, each in a file of its own that by default only its owner can read."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from sextant.contracts.errors import Fatal


def shared_secret(path: Path, new: str, *, mode: int = 0o600) -> str:
    """The secret in this file, `new` where there was none; processes that start at once agree; raises Fatal."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path, new, mode)
        secret = path.read_text().strip()
    except OSError as error:
        raise Fatal(f"cannot use the secret in {path}: {error.strerror}") from None
    if not secret:
        raise Fatal(f"{path} is empty; delete it, and a new secret is made")
    return secret


def _create(path: Path, content: str, mode: int) -> None:
    """A link, unlike a rename, replaces nothing: whoever is first decides."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")  # 0600 from its first byte
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"{content}\n")
            stream.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
