"""The hours of a window, and the reference rows of these hours.

A night is no drift of a day: a window is compared with reference rows of the same kind of day and about the same
hour. Each reference row weighs as much as the window's rows call for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HOURS = 24
KINDS_OF_DAY = ("on working days", "on weekends")
BINS = HOURS * len(KINDS_OF_DAY)
NO_TIME = -1
"""The bin of a row whose time is not known."""

SMOOTHING_HOURS = 1.5
SUPPORT, SUPPORT_SHARE = 20.0, 0.01
"""An hour with fewer reference rows near it is not judged: there is nothing to compare with."""

LATEST = np.timedelta64(26, "h")
"""A time may lie so far after the moment of the prediction: zones differ by up to 26 hours."""

Bins = NDArray[np.int16]
Weights = NDArray[np.float64]
EVENT_HOUR = "event_hour"
"""The column of a conformed frame that holds the bin of each row's event."""


def hour_bins(times: "pd.Series[Any]") -> Bins:
    """The bin of each local time: its hour, on a working day or a weekend."""
    known = times.notna().to_numpy()
    bins = np.full(len(times), NO_TIME, dtype=np.int16)
    of_known = times[known]
    bins[known] = of_known.dt.hour + HOURS * (of_known.dt.dayofweek >= 5)
    return bins


def _kernel() -> Weights:
    """How much rows of one bin count for another: a Gaussian over the hour, around the clock, by kind of day."""
    hours = np.arange(HOURS)
    apart = np.abs(hours[:, None] - hours[None])
    near = np.exp(-0.5 * (np.minimum(apart, HOURS - apart) / SMOOTHING_HOURS) ** 2)
    kernel = np.zeros((BINS, BINS))
    for kind in range(len(KINDS_OF_DAY)):
        part = slice(kind * HOURS, (kind + 1) * HOURS)
        kernel[part, part] = near
    return kernel


KERNEL = _kernel()


@dataclass(frozen=True)
class Hours:
    """The bins of some reference rows, and how many rows there are near each."""

    bins: Bins
    support: Weights

    @classmethod
    def of(cls, bins: Bins) -> "Hours":
        """Of the rows with these bins."""
        return cls(bins, KERNEL @ counted(bins))

    @property
    def _needed(self) -> float:
        """Of a small reference less is asked: its noise is in its thresholds."""
        return min(SUPPORT, SUPPORT_SHARE * len(self.bins))

    def supported(self, bins: Bins) -> NDArray[np.bool_]:
        """Which rows of a window have reference rows to be compared with; one without a time has all of them."""
        supported: NDArray[np.bool_] = np.append(self.support >= self._needed, True)[bins]
        return supported

    def weights(self, bins: Bins) -> Weights:
        """The weight of each reference row for a window of these bins; they sum to the window's rows.

        A window row whose time is not known, or that has no reference of its hour, calls for all rows alike.
        """
        window = counted(bins)
        known = self.support >= self._needed
        share = np.divide(window, self.support, out=np.zeros(BINS), where=known)
        by_bin = np.append(share @ KERNEL, 0.0)  # the last is that of rows without a time
        alike = len(bins) - window[known].sum()
        weights: Weights = by_bin[self.bins] + alike / max(len(self.bins), 1)
        return weights


def counted(bins: Bins) -> Weights:
    """How many rows each bin holds."""
    return np.bincount(bins[bins >= 0], minlength=BINS).astype(np.float64)


def in_words(bins: Iterable[int]) -> str:
    """Bins as people say it: 'on weekends from 02:00 to 04:59'."""
    parts = []
    for kind, name in enumerate(KINDS_OF_DAY):
        hours = sorted({int(number) - kind * HOURS for number in bins if number // HOURS == kind and number >= 0})
        runs: list[list[int]] = []
        for hour in hours:
            if runs and runs[-1][1] == hour - 1:
                runs[-1][1] = hour
            else:
                runs.append([hour, hour])
        parts += [f"{name} from {first:02}:00 to {last:02}:59" for first, last in runs]
    return ", ".join(parts)
