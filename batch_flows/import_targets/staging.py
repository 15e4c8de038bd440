"""Rows of one import on their way to MongoDB, in a temporary SQLite file: memory does not grow with the input."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self

from batch_flows.import_targets.file import Row
from batch_flows.import_targets.rows import CheckedRow
from sextant.contracts.errors import Retryable

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


class RejectedRow(NamedTuple):
    """A row that cannot be stored, why, and its text, so that it can be put right and imported again."""

    line: int
    reason: str
    prediction_id: str
    target: str
    model: str
    received_at: str

    @classmethod
    def of_row(cls, row: Row, reason: str) -> Self:
        """A row that is malformed as it stands in the file."""
        return cls(row.line, reason, row.prediction_id, row.target, row.model, row.received_at)

    @classmethod
    def of_checked(cls, row: CheckedRow, reason: str) -> Self:
        """A row that is well-formed but does not fit what is stored."""
        received_at = row.received_at.isoformat() if row.received_at else ""
        return cls(row.line, reason, row.prediction_id, str(row.target), "", received_at)


class Staging:
    """Targets, one for each prediction, and the rejected rows; a context that closes the file."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        self._db.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, rows: Iterable[CheckedRow]) -> None:
        """Keep the targets; of those for one prediction, the last."""
        times = (
            (row, row.received_at.isoformat(timespec="milliseconds") if row.received_at else None) for row in rows
        )
        self._db.executemany(ADD, ((row.prediction_id, row.line, row.target, time) for row, time in times))
        self._db.commit()

    def reject(self, rows: Iterable[RejectedRow]) -> None:
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

    def chunk(self, first: int, count: int) -> list[CheckedRow]:
        """Targets number first to first + count - 1, from 0."""
        query = "SELECT line, prediction_id, value, received_at FROM target WHERE place > ? AND place <= ?"
        return [
            CheckedRow(line, prediction_id, value, datetime.fromisoformat(time) if time else None)
            for line, prediction_id, value, time in self._db.execute(query, (first, first + count))
        ]

    def rejects(self) -> Iterator[Sequence[object]]:
        """The rejected rows in the order of the file."""
        return iter(self._db.execute("SELECT * FROM reject ORDER BY line"))


@contextmanager
def staging_path() -> Iterator[Path]:
    """Where a Staging may be for now; raises Retryable when the temporary folder cannot take it (see TMPDIR)."""
    try:
        with tempfile.TemporaryDirectory(prefix="import-targets-") as folder:
            yield Path(folder) / "rows.db"
    except sqlite3.Error as error:
        raise Retryable(f"cannot keep rows in {tempfile.gettempdir()}: {error}") from error
    except OSError as error:
        raise Retryable(f"cannot use a temporary folder: {error.strerror or error}") from error
