"""How high a score may be when nothing drifted: what blocks of consecutive reference rows scored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import orjson
from scipy import special

RECIPE = 3
"""Counts the changes to how blocks are scored: scores of another recipe are not used."""

FEWEST_DAYS, FEWEST_DAYS_TO_RELY_ON = 3, 7
MOST_SKEWED = 3.0
FEWEST_BLOCKS = 3


@dataclass(frozen=True, slots=True)
class Null:
    """One test's scores by the size of the block: three moments, and how many blocks are independent."""

    rows: tuple[float, ...]
    """Values that the test had to tell by, growing."""

    means: tuple[float, ...]
    deviations: tuple[float, ...]
    skewnesses: tuple[float, ...]
    independent: tuple[float, ...]

    def threshold(self, rows: float, rate: float) -> float:
        """The score that so many consecutive rows exceed with this probability, though nothing drifted.

        Below the smallest size scores spread as sampling does; beyond the largest nothing is extrapolated: what
        differs from day to day does not shrink as a window grows.
        """
        place = np.log(np.clip(rows, self.rows[0], self.rows[-1]))
        sizes = np.log(self.rows)
        mean, deviation, skewness, independent = (
            float(np.interp(place, sizes, values))
            for values in (self.means, self.deviations, self.skewnesses, self.independent)
        )
        if rows < self.rows[0]:
            wider = (self.rows[0] / rows) ** 0.5
            mean, deviation = mean * wider, deviation * wider
        return mean + deviation * quantile(skewness, rate) * little_known(independent, rate)


@lru_cache(4096)
def quantile(skewness: float, rate: float) -> float:
    """How many deviations above the mean a Pearson III variable exceeds with this probability."""
    skewness = min(max(skewness, 0.0), MOST_SKEWED)
    if skewness < 1e-3:
        return float(special.ndtri(1.0 - rate))
    shape = 4.0 / skewness**2
    return float((special.gammainccinv(shape, rate) - shape) / shape**0.5)


@lru_cache(4096)
def little_known(independent: float, rate: float) -> float:
    """How much farther a threshold lies because the moments come from so few independent blocks."""
    student = special.stdtrit(independent - 1.0, 1.0 - rate) / special.ndtri(1.0 - rate)
    return float(student * (1.0 + 1.0 / independent) ** 0.5)


Key = tuple[str, str, str]
"""A test: the kind of verdict, its column and its segment."""


@dataclass(frozen=True)
class Nulls:
    """What the tests of a model score on its own reference period."""

    days: int
    rows: int
    tests: Mapping[Key, Null]

    @property
    def judges(self) -> bool:
        """Whether there are days enough to tell drift from what differs between days."""
        return self.days >= FEWEST_DAYS

    @property
    def provisional(self) -> bool:
        """Whether the days are too few to rely on the stated rate."""
        return self.days < FEWEST_DAYS_TO_RELY_ON

    def of(self, key: Key) -> Null | None:
        """What a test scores; None where the reference period does not tell it."""
        return self.tests.get(key) if self.judges else None

    def threshold(self, key: Key, rows: float, rate: float) -> float | None:
        """The threshold of a test, likewise."""
        null = self.of(key)
        return null.threshold(rows, rate) if null else None

    def family(self, kind: str, *, of_segments: bool = False) -> int:
        """How many tests of one kind share its false-alarm rate: those of all rows, or those of segments."""
        return max(sum(key[0] == kind and bool(key[2]) == of_segments for key in self.tests), 1)

    def to_json(self) -> bytes:
        """As it is kept in a bundle."""
        tests = [{"test": key, **asdict(null)} for key, null in self.tests.items()]
        return orjson.dumps(
            {"recipe": RECIPE, "days": self.days, "rows": self.rows, "tests": tests}, option=orjson.OPT_INDENT_2
        )

    @classmethod
    def from_json(cls, text: bytes | None) -> Self | None:
        """Back from to_json(); None for no text or another recipe's; raises ValueError for anything else."""
        if text is None:
            return None
        data: dict[str, Any] = orjson.loads(text)
        if data.get("recipe") != RECIPE:
            return None
        try:
            tests = {_key(test["test"]): _null(test) for test in data["tests"]}
            return cls(int(data["days"]), int(data["rows"]), tests)
        except (KeyError, TypeError) as error:
            raise ValueError(f"the thresholds in time cannot be read: {error}") from error


def _key(names: Sequence[str]) -> Key:
    kind, column, segment = names
    return kind, column, segment


def _null(test: Mapping[str, Sequence[float]]) -> Null:
    return Null(
        tuple(test["rows"]),
        tuple(test["means"]),
        tuple(test["deviations"]),
        tuple(test["skewnesses"]),
        tuple(test["independent"]),
    )
