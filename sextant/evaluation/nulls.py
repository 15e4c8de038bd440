"""Measures what every test of a model scores on blocks of consecutive rows of its reference period.

Each block is scored as a window would be, against the reference rows of the same hours and without its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.block_scores import AllTogether, DenseRows, Positions, Scores, SegmentScores, WindowScores
from sextant.evaluation.drift.multivariate import DomainClassifier
from sextant.evaluation.in_time.null import MOST_SKEWED, Key, Null, Nulls
from sextant.evaluation.reference import Reference

SIZES = (30, 100, 300, 1_000, 3_000)
MULTIVARIATE_SIZES = (200, 700, 2_000)
LARGEST_SHARE = 5
"""No block is larger than a fifth of the rows."""

BLOCKS, BLOCKS_OF_SLOW_TESTS = 80, 24
"""Blocks at each size, where there are rows enough; more would overlap more, and tell hardly more."""

Progress = Callable[[str, int, int], None]


def measure_nulls(
    manifest: Manifest, dense: pd.DataFrame, reference_positions: Positions, *, progress: Progress | None = None
) -> bytes:
    """What the tests score without drift, as JSON; takes some ten seconds.

    `dense` holds all rows of the reference period that the model had not seen, in the order of their times, with
    the columns of the reference; `reference_positions` are those that the reference keeps.
    """
    reference = Reference.prepare(manifest, dense.iloc[reference_positions].reset_index(drop=True))
    rows = DenseRows.of(reference, dense.reset_index(drop=True), reference_positions)
    collected: dict[Key, Collected] = {}
    steps = list(_steps(rows))
    for done, (name, blocks, score) in enumerate(steps):
        if progress:
            progress(name, done, len(steps))
        _collect(collected, blocks, score)
    days = len(np.unique(rows.days[~np.isnat(rows.days)]))
    tests = {key: found.null(days) for key, found in collected.items() if found.is_enough}
    return Nulls(days, len(dense), tests).to_json()


@dataclass
class Collected:
    """The scores of one test by the size of the block."""

    scores: dict[int, list[float]] = field(default_factory=dict)
    told_by: dict[int, list[float]] = field(default_factory=dict)
    independent: dict[int, float] = field(default_factory=dict)

    @property
    def is_enough(self) -> bool:
        """Whether there is any size with moments."""
        return any(len(scores) >= LARGEST_SHARE for scores in self.scores.values())

    def null(self, days: int) -> Null:
        """The moments by size."""
        sizes = [size for size, scores in self.scores.items() if len(scores) >= LARGEST_SHARE]
        scores = [np.array(self.scores[size]) for size in sizes]
        independent = [
            max(min(float(days), self.independent[size], float(len(each))), 2.0)
            for size, each in zip(sizes, scores, strict=True)
        ]
        return Null(
            rows=tuple(float(np.mean(self.told_by[size])) for size in sizes),
            means=tuple(float(each.mean()) for each in scores),
            deviations=tuple(map(_deviation, scores, independent)),
            skewnesses=tuple(_skewness(each) for each in scores),
            independent=tuple(independent),
        )


def _deviation(scores: NDArray[np.float64], independent: float) -> float:
    """Of all scores that there could be: around their own mean, so few independent ones spread less than that."""
    return float(scores.std() * (independent / (independent - 1.0)) ** 0.5)


def _skewness(scores: NDArray[np.float64]) -> float:
    if scores.std() <= 1e-12 * abs(scores.mean()):
        return 0.0
    return float(np.clip(stats.skew(scores), 0.0, MOST_SKEWED))


def _steps(rows: DenseRows) -> Iterator[tuple[str, "Blocks", Callable[[Positions], Scores]]]:
    everything = np.arange(len(rows.frame))
    scorer = WindowScores(rows)
    for blocks in Blocks.of(everything, SIZES, BLOCKS):
        yield f"blocks of {blocks.size:,} rows", blocks, scorer.of
    for segment, part in rows.reference.segments.items():
        ours = _positions(rows, segment)
        for blocks in Blocks.of(ours, SIZES, BLOCKS):
            yield f"blocks of {blocks.size:,} rows in {segment}", blocks, SegmentScores(rows, segment, part).of
    domain = DomainClassifier(rows.reference)
    matrix = domain.matrix(rows.frame)
    for blocks in Blocks.of(everything, MULTIVARIATE_SIZES, BLOCKS_OF_SLOW_TESTS):
        yield f"{blocks.size:,} rows, all features together", blocks, AllTogether(rows, domain, matrix).of


def _positions(rows: DenseRows, segment: str) -> Positions:
    for column in rows.reference.segment_columns:
        for name, part in column.split(rows.frame):
            if name == segment:
                return np.sort(part.index.to_numpy())
    return np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class Blocks:
    """Runs of so many consecutive rows, evenly spread."""

    size: int
    positions: tuple[Positions, ...]
    independent: float

    @classmethod
    def of(cls, rows: Positions, sizes: tuple[int, ...], most: int) -> Iterator["Blocks"]:
        """The blocks of each size that these rows allow."""
        for size in sizes:
            if size * LARGEST_SHARE <= len(rows):
                starts = np.unique(np.linspace(0, len(rows) - size, most).astype(int))
                yield cls(size, tuple(rows[s : s + size] for s in starts), len(rows) / size)


def _collect(collected: dict[Key, Collected], blocks: Blocks, score: Callable[[Positions], Scores]) -> None:
    for block in blocks.positions:
        for key, value, told in score(block):
            if not np.isfinite(value):
                continue
            found = collected.setdefault(key, Collected())
            found.scores.setdefault(blocks.size, []).append(value)
            found.told_by.setdefault(blocks.size, []).append(told)
            found.independent[blocks.size] = blocks.independent
