"""Rows in the order of their event times, by whole days, and what is wrong with the times that are left out."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.event_times import event_times, utc_offsets
from sextant.use_cases.use_case import Examples

LEAST_WITH_TIME = 0.9
"""With a smaller share of rows that have a time, leaving the others out would change what a model learns."""

STRAY_SHARE = 0.01
"""A day with a smaller share of the median day's rows is no day of the period but a clock that was wrong."""

MOST_NAMED = 3


class Untimed(Exception):
    """The rows cannot be put in the order of their time; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """Days in a row, as people write them."""

    first: date
    last: date
    days: int

    def __str__(self) -> str:
        return f"{self.first} to {self.last} ({self.days} days)" if self.days > 1 else f"{self.first} (1 day)"


@dataclass(frozen=True, slots=True)
class TimedRows:
    """Rows in time order, the day of each, and a line for every kind of row that was left out."""

    rows: Examples
    days: npt.NDArray[np.datetime64]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def distinct_days(self) -> npt.NDArray[np.datetime64]:
        """Every day once, in order."""
        return np.unique(self.days)

    def span(self, rows: slice) -> Span:
        """The days of these rows."""
        days = np.unique(self.days[rows])
        return Span(days[0].item(), days[-1].item(), len(days))


def in_time_order(examples: Examples, time: str) -> TimedRows:
    """The rows that have a usable time, by that time; raises Untimed where too few have one."""
    texts = _column(examples, time)
    times, notes = event_times(texts).rename(time), []
    readable = times.notna()
    if unreadable := len(texts) - int(readable.sum()):
        notes.append(f"{unreadable:,} of {len(texts):,} rows have no readable time in {time} and are left out")
    offsets = utc_offsets(texts)
    usable = readable & ~_odd_ones(offsets, readable)
    if odd := int((readable & ~usable).sum()):
        which = "no offset from UTC, unlike" if (offsets[usable] != "").any() else "an offset from UTC, unlike"
        notes.append(f"{odd:,} times in {time} state {which} the others; their rows are left out")
    if (zones := offsets[usable].nunique()) > 1:
        notes.append(f"the times in {time} state {zones} offsets from UTC; the clock time as written counts")
    if usable.sum() < LEAST_WITH_TIME * len(texts):
        raise Untimed(f"only {int(usable.sum()):,} of {len(texts):,} rows have a usable time in {time}")
    return _without_stray_days(examples, times.where(usable), tuple(notes))


def _column(examples: Examples, time: str) -> "pd.Series[Any]":
    for part in (examples.features, examples.context):
        if time in part:
            return part[time]
    raise Untimed(f"the rows have no column {time}")


def _odd_ones(offsets: "pd.Series[Any]", readable: "pd.Series[bool]") -> "pd.Series[bool]":
    """Times with an offset among ones without, or the other way round: whichever are fewer."""
    stated = readable & (offsets != "")
    bare = readable & (offsets == "")
    return stated if stated.sum() < bare.sum() else bare


def _without_stray_days(examples: Examples, times: "pd.Series[Any]", notes: tuple[str, ...]) -> TimedRows:
    days = times.dt.floor("D")
    rows_a_day = days.value_counts().sort_index()
    stray = rows_a_day[rows_a_day < STRAY_SHARE * rows_a_day.median()]
    if len(stray):
        days_named = [str(day.date()) for day in stray.index[:MOST_NAMED]]
        named = ", ".join([*days_named, "..."] if len(stray) > MOST_NAMED else days_named)
        notes = (*notes, f"{stray.sum():,} rows on days with hardly any other ({named}) are left out")
    kept = np.flatnonzero(days.notna() & ~days.isin(stray.index))
    if times[kept].max() - times[kept].min() < pd.Timedelta(minutes=1):
        raise Untimed(f"all times in {times.name} are within one minute")
    order = kept[np.argsort(times.to_numpy()[kept], kind="stable")]
    return TimedRows(examples.take(order), days.to_numpy()[order].astype("datetime64[D]"), notes)
