"""The index of all reports: one page over the summaries that lie beside them."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from urllib.parse import quote_from_bytes

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from batch_flows.reports.files import write_text
from batch_flows.reports.record import ReportRecord
from sextant.contracts.errors import Retryable
from sextant.contracts.page_policy import own_parts
from sextant.pages.charts import Sparkline, sparkline

TEMPLATES = Path(__file__).with_name("templates")
INDEX = "index.html"
MOST_LISTED = 500
LONGEST_LINE = 60
MOST_NAMED = 5
NAMED_COLUMNS = 3
MOST_ATTEMPTS = 20  # in a folder that never rests, the next run brings what is missing
LARGEST_SUMMARY = 1 << 20
"""A drift report of 200 columns has a summary of about 40 kB; what is far larger is somebody else's file."""

Listing = Mapping[str, tuple[int, ...]]
"""Files by name, each with what changes when it is replaced."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A report by the stem of its files' names."""

    stem: str
    report: ReportRecord

    @property
    def model(self) -> str:
        """The model's name, or that it is about all."""
        return self.report.model or "all models"

    @property
    def drifted(self) -> str:
        """The first columns that drifted."""
        names = [name[:80] for name in self.report.drifted_columns]
        more = len(names) - NAMED_COLUMNS
        return ", ".join(names[:NAMED_COLUMNS]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """A model: its newest verdict on drift, and how drift went."""

    name: str
    newest: ReportRecord
    reports: int
    line: Sparkline | None
    drifted: bool
    text: str


@dataclass(frozen=True, slots=True)
class Reports:
    """What lies in the folder: reports, newest first; which of them have a page; files that are no summaries."""

    entries: list[Entry] = field(default_factory=list)
    pages: frozenset[str] = frozenset()
    skipped: list[str] = field(default_factory=list)


def list_files(reports_dir: Path) -> Listing:
    """The pages and summaries in the folder, but not the index; raises Retryable if it cannot be read."""
    try:
        with os.scandir(reports_dir) as found:
            ours = [entry for entry in found if _is_ours(entry.name)]
        return {entry.name: identity for entry in ours if (identity := _identity(entry))}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Retryable(f"could not read {reports_dir}: {error.strerror or error}") from error


def write_index(reports_dir: Path, *, listing: Callable[[Path], Listing] = list_files) -> None:
    """Write index.html anew from the summaries in the folder; raises Retryable if the disk refuses it.

    Two runs may do so at once. Each puts its summary down first, and begins again if the folder changed while
    it wrote the index; so whichever index is moved into place last was made from all summaries.
    """
    before: Listing | None = None
    for _ in range(MOST_ATTEMPTS):
        if (files := listing(reports_dir)) == before:
            return
        write_text(reports_dir / INDEX, render(read_reports(reports_dir, files)))
        before = files


def read_reports(reports_dir: Path, names: Iterable[str]) -> Reports:
    """The reports among these files; a file that is torn, gone or no summary is skipped and named."""
    entries, skipped = [], []
    pages = frozenset(name.removesuffix(".html") for name in names if name.endswith(".html"))
    for name in sorted(name for name in names if name.endswith(".json")):
        try:
            report = ReportRecord.model_validate_json(_content(reports_dir / name))
            entries.append(Entry(name.removesuffix(".json"), report))
        except FileNotFoundError:
            continue  # retention took it meanwhile
        except (OSError, ValueError, OverflowError):
            skipped.append(name)
    entries.sort(key=lambda entry: (entry.report.created_at, entry.report.window.end), reverse=True)
    return Reports(entries, pages, skipped)


def render(reports: Reports) -> str:
    """The index page."""
    shown = reports.entries[:MOST_LISTED]
    return (
        _template_environment()
        .get_template("index.html")
        .render(
            entries=shown,
            older=len(reports.entries) - len(shown),
            cards=_cards(reports.entries),
            models=sorted({entry.model for entry in shown}),
            flows=sorted({entry.report.flow for entry in shown}),
            pages=reports.pages,
            skipped=[os.fsencode(name).decode(errors="replace")[:200] for name in reports.skipped],
            most_named=MOST_NAMED,
            policy=own_parts((TEMPLATES / "index.html").read_text()),
        )
    )


def _cards(entries: Iterable[Entry]) -> list[ModelOverview]:
    by_model: dict[str, list[ReportRecord]] = {}
    for entry in entries:
        by_model.setdefault(entry.model, []).append(entry.report)
    return [_card(name, by_model[name]) for name in sorted(by_model)][:MOST_LISTED]


def _card(name: str, reports: list[ReportRecord]) -> ModelOverview:
    """Drift over time is drawn by the windows' ends: a report of last month may have been made today."""
    by_window = sorted(reports, key=lambda report: (report.window.end, report.created_at))
    newest = next((report for report in reversed(by_window) if report.judges_drift), reports[0])
    drawn = [ratio for report in by_window if (ratio := report.furthest) is not None][-LONGEST_LINE:]
    last = drawn[-1] if drawn else 0.0
    text = f"largest drift score in the last {len(drawn)} reports; newest: {last:.3g} times its threshold"
    return ModelOverview(name, newest, len(reports), sparkline(drawn, bounded=True), last > 1, text)


def _template_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["href"] = _href
    return environment


def _href(name: str) -> str:
    """A file's name as a relative link, whatever is in it."""
    return quote_from_bytes(os.fsencode(name), safe="")


def _is_ours(name: str) -> bool:
    return name.endswith((".html", ".json")) and not name.startswith(".") and name != INDEX


def _identity(entry: "os.DirEntry[str]") -> tuple[int, ...] | None:
    try:
        stat = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _content(path: Path) -> bytes:
    stat = path.stat()
    if not S_ISREG(stat.st_mode) or stat.st_size > LARGEST_SUMMARY:
        raise ValueError("not a file, or too large for a summary")
    return path.read_bytes()
