"""The time that a report is about, its window: start <= created_at < end, always with a zone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Strict

from sextant.contracts.errors import Rejected
from sextant.contracts.events import as_utc, stored_time

LONGEST_HOURS = 24 * 366 * 10

Moment = Annotated[datetime, Strict(), AfterValidator(as_utc)]
"""A time in UTC; read from a document, it must be one with a zone, and no number."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A span of time in UTC, in MongoDB's milliseconds; the end is not part of it."""

    start: Moment
    end: Moment

    def __str__(self) -> str:
        start, end = (f"{moment:%Y-%m-%d %H:%M:%S}{_part(moment)}" for moment in (self.start, self.end))
        return f"{start} to {end} UTC"

    @property
    def slug(self) -> str:
        """The range as part of a file name."""
        return "_".join(f"{moment:%Y%m%dT%H%M%S}{_part(moment)}Z" for moment in (self.start, self.end))

    def parts(self, most: int, unit: timedelta) -> Iterator["TimeRange"]:
        """The range in at most so many parts of whole units, each for a query of its own, so that none is long."""
        length = unit * math.ceil((self.end - self.start) / unit / most)
        start = self.start
        while start < self.end:
            yield TimeRange(start, min(start + length, self.end))
            start += length


def _part(moment: datetime) -> str:
    """The part of a second, if there is one: two ranges of one name would be one report."""
    return f".{moment.microsecond // 1_000:03}" if moment.microsecond else ""


def choose_time_range(
    *, hours: float, start: datetime | str | None, end: datetime | str | None, now: datetime
) -> TimeRange:
    """From `start`, or `hours` before the end, up to `end` or now; raises Rejected with one sentence."""
    if not 0 < hours <= LONGEST_HOURS:
        raise Rejected(f"hours must lie between 0 and {LONGEST_HOURS:,}, got {hours:g}")
    try:
        last = stored_time(now) if end is None else _moment("end", end)
        first = stored_time(last - timedelta(hours=hours)) if start is None else _moment("start", start)
    except OverflowError:
        raise Rejected("the window reaches beyond the calendar") from None
    if first >= last:
        raise Rejected(f"the window must end after it starts: {first.isoformat()} to {last.isoformat()}")
    return TimeRange(first, last)


def _moment(name: str, value: datetime | str) -> datetime:
    try:
        return stored_time(value)
    except ValueError as error:
        reason = "has no time zone" if "no time zone" in str(error) else "is not an ISO 8601 time"
        raise Rejected(f"{name} {reason}: {value} (write it like 2026-01-31T08:00:00+00:00)") from None
