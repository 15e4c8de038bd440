"""Which rows a replay sends in which order, at which moments, and with which event times."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.event_times import event_times, utc_offsets
from sextant.use_cases.use_case import Examples

BY_TIME, AT_RANDOM = "time", "random"
ORDERS = (BY_TIME, AT_RANDOM)
ORIGINAL, NOW = "original", "now"
AS_OF = (ORIGINAL, NOW)

WEEK = pd.Timedelta(weeks=1)
LONGEST_GAP = pd.Timedelta(days=1).total_seconds()
"""Seconds; a longer one is a hole in the data, or a clock that was wrong, and nobody waits for it."""

Positions = npt.NDArray[np.intp]
Seconds = npt.NDArray[np.float64]


class NoTimes(Fatal):
    """A replay was asked to go by event times, and cannot."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast rows are sent: so many a second, or their real gaps divided by `speed`; neither: at once."""

    rate: float | None = None
    speed: float | None = None

    def moments(self, times: "pd.Series[Any]") -> Seconds:
        """Seconds from the start at which each row is due; `times` are those of the rows in the order sent."""
        if self.speed is None:
            return np.arange(len(times)) / self.rate if self.rate else np.zeros(len(times))
        _require_times(times, "--speed")
        gaps = times.ffill().diff().dt.total_seconds().fillna(0.0).clip(0.0, LONGEST_GAP).to_numpy()
        return np.cumsum(gaps) / self.speed


def times_of(examples: Examples, time: str | None) -> "pd.Series[Any]":
    """The rows' event times; NaT for those that have none."""
    for part in (examples.features, examples.context):
        if time is not None and time in part:
            return event_times(part[time])
    return pd.Series(pd.NaT, index=examples.target.index, dtype="datetime64[ns]")


def ordered(times: "pd.Series[Any]", count: int, order: str, rng: np.random.Generator) -> Positions:
    """`count` positions by time or in random order; every row comes once before any comes again.

    A row without a time stays behind the row that it follows, and rows without any keep their order.
    """
    if order == AT_RANDOM:
        return shuffled(len(times), count, rng)
    known = times.ffill().bfill()
    return np.resize(np.argsort(known.to_numpy(), kind="stable"), count)


def shuffled(rows: int, count: int, rng: np.random.Generator) -> Positions:
    """`count` positions below `rows` in random order; every row comes once before any comes again."""
    rounds = -(-count // rows)
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count]


def as_of(examples: Examples, time: str | None, sent: Positions, now: datetime) -> Examples:
    """The event times moved by whole weeks, so that the last row sent lies within the week before `now`.

    Only whole weeks leave a night a night and a Sunday a Sunday, on which the comparison with the reference rests.
    """
    times = times_of(examples, time)
    _require_times(times, "--as-of now")
    weeks = (pd.Timestamp(now.astimezone(UTC).replace(tzinfo=None)) - times.iloc[np.unique(sent)].max()) // WEEK
    if time in examples.features:
        return replace(examples, features=_moved(examples.features, str(time), times, weeks * WEEK))
    return replace(examples, context=_moved(examples.context, str(time), times, weeks * WEEK))


def _moved(part: pd.DataFrame, time: str, times: "pd.Series[Any]", by: pd.Timedelta) -> pd.DataFrame:
    """With the same offsets from UTC; what is no time stays as it is."""
    moved = (times + by).map(pd.Timestamp.isoformat, na_action="ignore") + utc_offsets(part[time])
    return part.assign(**{time: moved.where(times.notna(), part[time])})


def _require_times(times: "pd.Series[Any]", option: str) -> None:
    if times.isna().all():
        raise NoTimes(f"{option} needs rows with event times, and these have none")
