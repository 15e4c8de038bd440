"""Rows of one import on disk: targets in SQLite on their way to MongoDB, rejects in a CSV file."""

import codecs
import csv
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

from sextant.contracts.errors import Rejected, Retryable
from sextant.contracts.files import replacing
from sextant.contracts.target_rows import CheckedTarget, RejectedTarget

REJECT_COLUMNS = ("reason", "prediction_id", "target", "model", "received_at")

SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE IF NOT EXISTS target (
    place INTEGER PRIMARY KEY, prediction_id TEXT UNIQUE NOT NULL, line INTEGER, value, received_at TEXT
);
CREATE TABLE IF NOT EXISTS reject (
    line INTEGER PRIMARY KEY, reason TEXT, prediction_id TEXT, target TEXT, model TEXT, received_at TEXT
);
"""
# The later one counts: by its time where both have one, otherwise by its place in the file.
ADD = """
INSERT INTO target (prediction_id, line, value, received_at) VALUES (?, ?, ?, ?)
ON CONFLICT (prediction_id) DO UPDATE
SET line = excluded.line, value = excluded.value, received_at = excluded.received_at
WHERE target.received_at IS NULL OR excluded.received_at IS NULL OR excluded.received_at >= target.received_at
"""


class Staging:
    """Targets, one for each prediction, and the rejected rows, so that memory does not grow with the input.

    A context manager that closes the file.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        self._db.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, rows: Iterable[CheckedTarget]) -> None:
        """Keep the targets; of those for one prediction, the last."""
        times = (
            (row, row.received_at.isoformat(timespec="milliseconds") if row.received_at else None) for row in rows
        )
        self._db.executemany(ADD, ((row.prediction_id, row.line, row.target, time) for row, time in times))
        self._db.commit()

    def reject(self, rows: Iterable[RejectedTarget]) -> None:
        """Keep rejected rows; the same line again changes nothing."""
        self._db.executemany("INSERT OR REPLACE INTO reject VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._db.commit()

    @property
    def targets(self) -> int:
        """How many predictions have a target here."""
        return self._count("target")

    @property
    def rejected(self) -> int:
        """How many rows are rejected."""
        return self._count("reject")

    def _count(self, table: str) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own names

    def chunk(self, first: int, count: int) -> list[CheckedTarget]:
        """Targets number first to first + count - 1, from 0."""
        query = "SELECT line, prediction_id, value, received_at FROM target WHERE place > ? AND place <= ?"
        return [
            CheckedTarget(line, prediction_id, value, datetime.fromisoformat(time) if time else None)
            for line, prediction_id, value, time in self._db.execute(query, (first, first + count))
        ]

    def rejects(self) -> Iterator[Sequence[object]]:
        """The rejected rows in the order of the file."""
        return iter(self._db.execute("SELECT * FROM reject ORDER BY line"))


@contextmanager
def staging_path() -> Iterator[Path]:
    """A temporary path for a Staging; raises Retryable when the temporary folder cannot hold it (see TMPDIR)."""
    try:
        with tempfile.TemporaryDirectory(prefix="import-targets-") as folder:
            yield Path(folder) / "rows.db"
    except sqlite3.Error as error:
        raise Retryable(f"cannot keep rows in {tempfile.gettempdir()}: {error}") from error
    except OSError as error:
        raise Retryable(f"cannot use a temporary folder: {error.strerror or error}") from error


def reject_path(path: Path, chosen: Path | None) -> Path:
    """Where the rejects of a file go; raises Rejected rather than overwrite a file that is not a reject file."""
    rejects = chosen or path.with_name(f"{path.name}.rejected.csv")
    if rejects.absolute() == path.absolute() or (rejects.exists() and not _is_ours(rejects)):
        raise Rejected(f"{rejects} exists and is not a reject file; name another file for the rejects")
    if not rejects.parent.is_dir():
        raise Rejected(f"there is no folder {rejects.parent} for the rejects")
    return rejects


def write_reject_file(rejects: Path, rows: Iterable[Sequence[object]], counted_in: str) -> None:
    """Write the malformed rows with line numbers and reasons, ready to be corrected; whole or not at all.

    `counted_in` names the first column: line or row. Raises Retryable when it cannot be written.
    """
    try:
        with replacing(rejects) as stream:
            writer = csv.writer(codecs.getwriter("utf-8")(stream), lineterminator="\n")
            writer.writerow((counted_in, *REJECT_COLUMNS))
            writer.writerows(rows)
    except OSError as error:
        raise Retryable(f"could not write {rejects}: {error.strerror or error}") from error


def remove_reject_file(rejects: Path) -> None:
    """Remove the reject file of an earlier import, if there is one; raises Retryable when that fails."""
    try:
        if rejects.exists() and _is_ours(rejects):
            rejects.unlink()
    except OSError as error:
        raise Retryable(f"could not remove {rejects}: {error.strerror or error}") from error


def _is_ours(path: Path) -> bool:
    ours = {f"{counted_in},{','.join(REJECT_COLUMNS)}\n".encode() for counted_in in ("line", "row")}
    try:
        with path.open("rb") as stream:
            return stream.readline(200) in ours
    except OSError:
        return False
