"""The reject file: the malformed rows of an import with line numbers and reasons, ready to be put right."""

import csv
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from sextant.contracts.errors import Rejected, Retryable

COLUMNS = ("reason", "prediction_id", "target", "model", "received_at")


def reject_path(path: Path, chosen: Path | None) -> Path:
    """Where the rejects of an input go; raises Rejected rather than overwrite a file that is something else."""
    rejects = chosen or path.with_name(f"{path.name}.rejected.csv")
    if rejects.absolute() == path.absolute() or (rejects.exists() and not _is_ours(rejects)):
        raise Rejected(f"{rejects} is there and is no reject file; name another for the rejects")
    if not rejects.parent.is_dir():
        raise Rejected(f"there is no folder {rejects.parent} for the rejects")
    return rejects


def write_reject_file(rejects: Path, rows: Iterable[Sequence[object]], counted_in: str) -> None:
    """Write the rows, whole or not at all.

    `counted_in` names the first column: line or row. Raises Retryable when the disk refuses it.
    """
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(dir=rejects.parent, prefix=".writing-", suffix=".csv")
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow((counted_in, *COLUMNS))
            writer.writerows(rows)
        temporary.chmod(0o644)  # mkstemp makes it private
        temporary.replace(rejects)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise Retryable(f"could not write {rejects}: {error.strerror or error}") from error


def remove_reject_file(rejects: Path) -> None:
    """Remove what an earlier import left, if it did; raises Retryable when the disk refuses it."""
    try:
        if rejects.exists() and _is_ours(rejects):
            rejects.unlink()
    except OSError as error:
        raise Retryable(f"could not remove {rejects}: {error.strerror or error}") from error


def _is_ours(path: Path) -> bool:
    ours = {f"{counted_in},{','.join(COLUMNS)}\n".encode() for counted_in in ("line", "row")}
    try:
        with path.open("rb") as stream:
            return stream.readline(200) in ours
    except OSError:
        return False
