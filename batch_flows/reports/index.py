"""The index of all reports: one page over the summaries that lie beside them."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from urllib.parse import quote_from_bytes

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from batch_flows.reports.entry import Entry, entry_of
from batch_flows.reports.html_file import write_atomically
from sextant.contracts.errors import Retryable, SextantError
from sextant.infrastructure.settings import load_settings
from sextant.pages.charts import Sparkline, sparkline

INDEX = "index.html"
MOST_LISTED = 500
LONGEST_LINE = 60
MOST_NAMED = 5
MOST_ATTEMPTS = 20  # in a folder that never rests, the next run brings what is missing
LARGEST_SUMMARY = 1 << 20
"""A drift report of 200 columns has a summary of about 40 kB; what is far larger is somebody else's file."""

Listing = Mapping[str, tuple[int, ...]]
"""Files by name, each with what changes when it is replaced."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model: its newest verdict on drift, and how drift went."""

    name: str
    newest: Entry
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
        write_atomically(reports_dir / INDEX, render(read_reports(reports_dir, files)))
        before = files


def read_reports(reports_dir: Path, names: Iterable[str]) -> Reports:
    """The reports among these files; a file that is torn, gone or no summary is skipped and named."""
    entries, skipped = [], []
    pages = frozenset(name.removesuffix(".html") for name in names if name.endswith(".html"))
    for name in sorted(name for name in names if name.endswith(".json")):
        try:
            entries.append(entry_of(name.removesuffix(".json"), _content(reports_dir / name)))
        except FileNotFoundError:
            continue  # retention took it meanwhile
        except (OSError, ValueError, OverflowError):
            skipped.append(name)
    entries.sort(key=lambda entry: (entry.created_at, entry.end), reverse=True)
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
            flows=sorted({entry.flow for entry in shown}),
            pages=reports.pages,
            skipped=[os.fsencode(name).decode(errors="replace")[:200] for name in reports.skipped],
            most_named=MOST_NAMED,
        )
    )


def _cards(entries: Iterable[Entry]) -> list[ModelCard]:
    by_model: dict[str, list[Entry]] = {}
    for entry in entries:
        by_model.setdefault(entry.model, []).append(entry)
    return [_card(name, by_model[name]) for name in sorted(by_model)][:MOST_LISTED]


def _card(name: str, entries: list[Entry]) -> ModelCard:
    """Drift over time is drawn by the windows' ends: a report of last month may have been made today."""
    newest_window_first = sorted(entries, key=lambda entry: (entry.end, entry.created_at), reverse=True)
    newest = next((entry for entry in newest_window_first if entry.judges_drift), entries[0])
    shares = [entry.drift_share for entry in reversed(newest_window_first) if entry.drift_share is not None]
    drawn = shares[-LONGEST_LINE:]
    last = drawn[-1] if drawn else 0.0
    text = f"largest drift score in the last {len(drawn)} reports; newest: {last:.3g} times its threshold"
    return ModelCard(name, newest, len(entries), sparkline(drawn, bounded=True), last > 1, text)


def _template_environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
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


def main() -> int:
    """Make the index anew; 2 and one line when that cannot be done."""
    try:
        reports_dir = load_settings().reports_dir
        write_index(reports_dir)
    except SextantError as error:
        sys.stderr.write(f"reports: {error}\n")
        return 2
    sys.stdout.write(f"reports: {reports_dir / INDEX}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
