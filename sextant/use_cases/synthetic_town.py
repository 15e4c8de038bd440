"""The town of the synthetic trips: its zones, the rhythm of its hours, and days of which none is like another."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

TOWN_SEED = 20240229
ZONE_COUNT = 240
SATURDAY = 5

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# By hour, on working days and on weekends, about as in the green-taxi months 2021-01 and 2023-01.
TRIPS = np.array([
    [8, 5, 3, 3, 4, 9, 21, 49, 64, 72, 71, 66, 64, 67, 68, 72, 74, 68, 64, 51, 36, 25, 20, 14],
    [22, 18, 14, 11, 11, 9, 10, 21, 32, 44, 56, 65, 71, 76, 75, 80, 74, 66, 62, 54, 44, 34, 28, 24],
], dtype=float)  # fmt: skip
MINUTES_A_MILE = np.array([
    [33, 34, 34, 31, 28, 27, 34, 42, 45, 43, 42, 42, 42, 44, 48, 50, 50, 50, 45, 41, 38, 36, 35, 34],
    [35, 34, 34, 29, 32, 26, 28, 28, 30, 32, 34, 36, 38, 40, 41, 43, 44, 44, 42, 41, 38, 38, 36, 36],
]) / 10  # fmt: skip
REACH = np.array([
    [27, 27, 28, 32, 36, 40, 32, 27, 26, 26, 26, 27, 26, 25, 24, 24, 24, 23, 23, 23, 25, 26, 26, 27],
    [28, 29, 31, 33, 34, 40, 36, 31, 30, 28, 27, 27, 26, 26, 25, 24, 24, 24, 24, 24, 26, 26, 27, 27],
]) / 10  # fmt: skip
"""Miles: at this distance, a zone is a third as likely a destination as next door."""
NIGHT = np.array([1, 1, 1, 1, 1, 0.8, 0.4, 0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
"""How much of each hour belongs to the night."""
DAY_OF_WEEK = np.array([0.95, 1.0, 1.05, 1.05, 1.0, 0.78, 0.6])

NIGHT_ZONES, WEEKEND_ZONES = 0.7, 0.35
"""How different the zones' shares are then: deviations of their logarithms, as are the effects of single days."""
VOLUME_BY_DAY, ZONES_BY_DAY, DISPATCHED_BY_DAY = 0.1, 0.12, 0.08
DISTANCE_BY_DAY, PACE_BY_DAY, PACE_WITH_DISTANCE = 0.042, 0.034, -0.02
"""On a day of long trips the streets are emptier, so durations vary less from day to day than distances."""


@dataclass(frozen=True)
class Town:
    """Zone ids, the miles between them, and how popular each is, by day and how much more so at other times."""

    ids: Integers
    miles: Floats
    popularity: Floats
    at_night: Floats
    on_weekends: Floats

    @classmethod
    def build(cls) -> Self:
        """Always the same one: a few zones start most trips, others at night."""
        rng = np.random.default_rng(TOWN_SEED)
        ids = np.sort(rng.choice(np.arange(1, 266), size=ZONE_COUNT, replace=False))
        popularity = 1 / np.arange(1, ZONE_COUNT + 1) ** 0.9
        places = rng.normal(0, 4, (ZONE_COUNT, 2))
        return cls(
            ids=ids,
            miles=np.linalg.norm(places[:, None] - places[None], axis=2),
            popularity=rng.permutation(popularity / popularity.sum()),
            at_night=rng.normal(0, NIGHT_ZONES, ZONE_COUNT),
            on_weekends=rng.normal(0, WEEKEND_ZONES, ZONE_COUNT),
        )

    def shares(self, hour: int, weekend: int, by_day: Floats) -> Floats:
        """How popular each zone is at this hour of each day; a row a day, the sums are not 1."""
        shares: Floats = self.popularity * np.exp(
            self.at_night * NIGHT[hour] + self.on_weekends * weekend + by_day
        )
        return shares


@dataclass(frozen=True)
class Days:
    """The days of one month, and by how much each differs from its kind."""

    first: pd.Timestamp
    weekend: Integers
    volume: Floats
    zones: Floats
    distance: Floats
    pace: Floats
    dispatched: Floats

    @classmethod
    def of(cls, month: str, rng: np.random.Generator) -> Self:
        """The month's days, each with effects of its own."""
        dates = pd.date_range(f"{month}-01", periods=pd.Period(month, freq="M").days_in_month)
        count, weekday = len(dates), dates.dayofweek.to_numpy()
        far = rng.normal(0, 1, count)
        return cls(
            first=dates[0],
            weekend=(weekday >= SATURDAY).astype("int64"),
            volume=DAY_OF_WEEK[weekday] * rng.lognormal(0, VOLUME_BY_DAY, count),
            zones=rng.normal(0, ZONES_BY_DAY, (count, ZONE_COUNT)),
            distance=np.exp(DISTANCE_BY_DAY * far),
            pace=np.exp(PACE_WITH_DISTANCE * far + rng.normal(0, PACE_BY_DAY, count)),
            dispatched=rng.lognormal(0, DISPATCHED_BY_DAY, count),
        )

    def moments(self, rng: np.random.Generator, rows: int) -> tuple[Integers, Integers]:
        """Day and hour of so many trips."""
        hours = TRIPS / TRIPS.sum(axis=1, keepdims=True)
        chances = (self.volume[:, None] * hours[self.weekend]).ravel()
        drawn = rng.choice(len(chances), size=rows, p=chances / chances.sum())
        return drawn // 24, drawn % 24
