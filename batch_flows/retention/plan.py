"""What retention may delete: decisions over times, model versions and the windows of reports, without any I/O."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import PurePosixPath

from batch_flows.reports.index import INDEX
from batch_flows.reports.record import Document, ReportRecord
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import Rejected
from sextant.contracts.events import stored_time

LONGEST_DAYS = 36_600

Made = tuple[str, str, datetime]
"""A prediction's id, model version and time."""


@dataclass(frozen=True, slots=True)
class AgeLimits:
    """Predictions made, and reports written, before these moments are too old; no moment: keep all reports."""

    predictions: datetime
    reports: datetime | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Spans of time that reports speak of: sorted and apart; each holds its start and not its end."""

    starts: tuple[datetime, ...] = ()
    ends: tuple[datetime, ...] = ()

    @classmethod
    def of(cls, windows: Iterable[TimeRange]) -> "Coverage":
        """The union of the windows, in any order; those that meet or overlap become one span."""
        starts: list[datetime] = []
        ends: list[datetime] = []
        for window in sorted(windows, key=lambda window: window.start):
            if ends and window.start <= ends[-1]:
                ends[-1] = max(ends[-1], window.end)
            else:
                starts.append(window.start)
                ends.append(window.end)
        return cls(tuple(starts), tuple(ends))

    def gap_at(self, moment: datetime) -> int | None:
        """The gap that a moment lies in, numbered by the spans before it; None where it is covered."""
        before = bisect_right(self.starts, moment)
        return None if before and moment < self.ends[before - 1] else before


NOTHING = Coverage()


@dataclass(slots=True)
class Gap:
    """Predictions of one version, next to each other in time, that no report speaks of."""

    version: str
    first: datetime
    last: datetime
    predictions: int = 1


@dataclass(slots=True)
class Kept:
    """The old predictions that stay: how many fill monitoring's window, and the gaps that no report covers."""

    in_window: int = 0
    _gaps: dict[tuple[str, int], Gap] = field(default_factory=dict)

    @property
    def gaps(self) -> list[Gap]:
        """The gaps, the one with the most predictions first."""
        return sorted(self._gaps.values(), key=lambda gap: (-gap.predictions, gap.first, gap.version))

    @property
    def uncovered(self) -> int:
        """How many predictions lie in the gaps."""
        return sum(gap.predictions for gap in self._gaps.values())

    def note_uncovered(self, version: str, gap: int, made_at: datetime) -> None:
        """Count a prediction in its gap; predictions come oldest first."""
        if found := self._gaps.get((version, gap)):
            found.last, found.predictions = made_at, found.predictions + 1
        else:
            self._gaps[version, gap] = Gap(version, made_at, made_at)


@dataclass(slots=True)
class Deleted:
    """What was deleted so far, or would be; it outlives a retry, so that its sum is of all attempts."""

    predictions: int = 0
    targets: int = 0

    def add(self, predictions: int, targets: int) -> None:
        """Count one batch."""
        self.predictions += predictions
        self.targets += targets


def choose_limits(*, older_than_days: float, keep_reports_days: float | None, now: datetime) -> AgeLimits:
    """The moments that lie so many days back, in MongoDB's milliseconds; raises Rejected with one sentence."""
    reports = None if keep_reports_days is None else _days_ago("keep_reports_days", keep_reports_days, now)
    return AgeLimits(_days_ago("older_than_days", older_than_days, now), reports)


def _days_ago(name: str, days: float, now: datetime) -> datetime:
    if not 0 <= days <= LONGEST_DAYS:
        raise Rejected(f"{name} must lie between 0 and {LONGEST_DAYS:,}, got {days:g}")
    return stored_time(now - timedelta(days=days))


def choose_models(model: str | None, *, stored: Collection[str], published: Collection[str]) -> list[str]:
    """The model asked for, or all that have predictions stored; raises Rejected for one that nobody knows."""
    if model is None:
        return sorted(stored)
    if model not in stored and model not in published:
        raise Rejected(f"there is no model {model!r} and no prediction of it; known: {_listed(stored, published)}")
    return [model]


def _listed(*names: Collection[str]) -> str:
    return ", ".join(sorted(set().union(*names))) or "none"


def coverage_by_version(reports: Iterable[ReportRecord], *, flow: str) -> dict[str, Coverage]:
    """What one flow's reports, among those of a model, cover: by version, since a report is about one version.

    One that was made before its window had ended proves nothing: it cannot know what came after.
    """
    windows: dict[str, list[TimeRange]] = {}
    for report in reports:
        if report.flow == flow and report.window.start < report.window.end <= report.created_at:
            windows.setdefault(str(report.model_version), []).append(report.window)
    return {version: Coverage.of(found) for version, found in windows.items()}


def deletable(
    rows: Iterable[Made], coverage: Mapping[str, Coverage] | None, kept: Kept, *, window_start: datetime
) -> Iterator[str]:
    """The ids that may go, of a model's predictions oldest first; `kept` notes why the others stay.

    No `coverage` at all means that no report is asked for. What was made since `window_start` is the newest that
    the model has, and fills monitoring's window after a restart.
    """
    for prediction_id, version, made_at in rows:
        gap = None if coverage is None else coverage.get(version, NOTHING).gap_at(made_at)
        if made_at >= window_start:
            kept.in_window += 1
        elif gap is not None:
            kept.note_uncovered(version, gap, made_at)
        else:
            yield prediction_id


def in_batches(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """The ids in lists of `size`; the last one may be shorter."""
    stream = iter(ids)
    while batch := list(islice(stream, size)):
        yield batch


def old_pages(
    reports: Iterable[ReportRecord], unreadable: Iterable[Document], before: datetime
) -> tuple[list[str], int]:
    """The pages that only old reports name, and how many old reports name what cannot be a page in the folder.

    What cannot be read as a report is of no known age, so its page stays.
    """
    old: set[str] = set()
    staying = {_page_within_folder(str(document.get("html"))) for document in unreadable}
    refused = 0
    for report in reports:
        page = _page_within_folder(report.html)
        if report.created_at >= before:
            staying.add(page)
        elif page is None:
            refused += 1
        else:
            old.add(page)
    return sorted(old - staying), refused


def _page_within_folder(name: str) -> str | None:
    """The name of a page that can only lie below the reports folder; links are for the caller to follow."""
    if "\0" in name or "\\" in name:
        return None
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".html" or str(path) == INDEX:
        return None
    return str(path)
