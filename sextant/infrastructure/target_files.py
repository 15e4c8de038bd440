"""A file of targets as rows of text: CSV or Parquet, told apart by the first bytes and read in chunks."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sextant.contracts.errors import Rejected
from sextant.contracts.target_rows import TargetRow

if TYPE_CHECKING:
    import pyarrow.parquet as pq

NEEDED = ("prediction_id", "target")
KNOWN = (*NEEDED, "model", "received_at")
SEPARATORS = (",", ";", "\t", "|")
LONGEST_HEADER = 65_536
PARQUET_MAGIC = b"PAR1"
PARQUET_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class TargetFile:
    """A file that has the needed columns; `separator` is None for Parquet."""

    path: Path
    columns: tuple[str, ...]
    separator: str | None

    @property
    def ignored(self) -> list[str]:
        """The columns that are not read."""
        return [name for name in self.columns if _plain(name) not in KNOWN]

    def has(self, name: str) -> bool:
        """Whether the file has this column."""
        return name in map(_plain, self.columns)

    @property
    def counted_in(self) -> str:
        """What the row numbers count: lines of CSV, rows of Parquet."""
        return "row" if self.separator is None else "line"

    def rows(self) -> Iterator[TargetRow]:
        """Its rows in order, without empty ones; raises Rejected when the file turns out to be unreadable."""
        return _parquet_rows(self) if self.separator is None else _csv_rows(self, self.separator)

    def chunks(self, size: int) -> Iterator[list[TargetRow]]:
        """The same rows in lists of at most `size`."""
        rows = self.rows()
        while chunk := list(islice(rows, size)):
            yield chunk


def open_target_file(path: Path) -> TargetFile:
    """The file at this path; raises Rejected when it cannot hold targets, without quoting its content."""
    if path.is_dir():
        raise Rejected(f"{path} is a folder; name one file")
    with _readable(path):
        with path.open("rb") as stream:
            start = stream.read(len(PARQUET_MAGIC))
        if not start:
            raise Rejected(f"{path} is empty; its first line must name the columns prediction_id and target")
        if start == PARQUET_MAGIC:
            return _checked(TargetFile(path, tuple(_parquet(path).schema_arrow.names), None))
        if path.suffix.lower() in {".parquet", ".pq"}:
            raise Rejected(f"{path} is not a Parquet file")
        return _checked(_csv_file(path))


def _checked(file: TargetFile) -> TargetFile:
    names = [_plain(name) for name in file.columns]
    if twice := [name for name in KNOWN if names.count(name) > 1]:
        raise Rejected(f"{file.path} has more than one column named {twice[0]}")
    if missing := [name for name in NEEDED if name not in names]:
        where = " in its first line" if file.separator else ""
        raise Rejected(f"{file.path} has no column {' or '.join(missing)}{where}")
    return file


def _plain(name: str) -> str:
    return name.strip().lower()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise Rejected(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise Rejected(f"cannot read {path}: {error.strerror or 'it is damaged'}") from None


# --- CSV ---------------------------------------------------------------------------------------------------


def _csv_file(path: Path) -> TargetFile:
    with _text(path) as stream:
        header = next((line for line in iter(lambda: stream.readline(LONGEST_HEADER), "") if line.strip()), "")
    choices = [TargetFile(path, _names(header, separator), separator) for separator in SEPARATORS]
    return max(choices, key=lambda file: len(set(NEEDED) & {_plain(name) for name in file.columns}))


def _names(header: str, separator: str) -> tuple[str, ...]:
    return tuple(next(csv.reader([header], delimiter=separator), []))


def _text(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", newline="")


def _csv_rows(file: TargetFile, separator: str) -> Iterator[TargetRow]:
    with _readable(file.path), _text(file.path) as stream:
        reader = csv.reader(stream, delimiter=separator)
        header_seen = False
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield TargetRow(line, problem=f"is no line of CSV: {error}")
                continue
            if header_seen and any(map(str.strip, fields)):
                yield _csv_row(line, reader.line_num, fields, file.columns)
            header_seen = header_seen or any(map(str.strip, fields))


def _csv_row(line: int, last: int, fields: list[str], columns: Sequence[str]) -> TargetRow:
    while len(fields) > len(columns) and not fields[-1].strip():
        fields.pop()
    values = dict(zip(map(_plain, columns), map(str.strip, fields), strict=False))
    known = {name: values.get(name, "") for name in KNOWN}
    problem = ""
    if len(fields) != len(columns):
        problem = f"has {len(fields)} field{'s' * (len(fields) > 1)} where the header has {len(columns)}"
    elif last > line and any("\n" in value or "\r" in value for value in known.values()):
        problem = "has a field with a line break"
    if problem and last > line:
        problem += f" (it runs on to line {last}: is a quote not closed?)"
    return TargetRow(line, **known, problem=problem)


# --- Parquet -----------------------------------------------------------------------------------------------


def _parquet(path: Path) -> "pq.ParquetFile":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except pa.ArrowException:
        raise Rejected(f"{path} is not a readable Parquet file") from None


def _parquet_rows(file: TargetFile) -> Iterator[TargetRow]:
    import pyarrow as pa

    read = [name for name in file.columns if _plain(name) in KNOWN]
    number = 0
    try:
        with _readable(file.path), _parquet(file.path) as source:
            for batch in source.iter_batches(batch_size=PARQUET_BATCH, columns=read):
                for values in zip(*(_texts(batch.column(name)) for name in read), strict=True):
                    number += 1
                    if any(values):
                        yield TargetRow(number, **dict(zip(map(_plain, read), values, strict=True)))
    except pa.ArrowException:
        raise Rejected(f"{file.path} is damaged after row {number}") from None


def _texts(column: Any) -> list[str]:
    return ["" if value is None else _as_text(value) for value in column.to_pylist()]


def _as_text(value: object) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()
