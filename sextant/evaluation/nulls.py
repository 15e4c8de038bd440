"""Measures what every test of a model scores on blocks of consecutive rows of its reference period.

Each block is scored as a window would be, against the reference rows of the same hours and without its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.drift.calibration import MIN_VALUES
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.drift.multivariate import MULTIVARIATE_DRIFT, DomainClassifier
from sextant.evaluation.drift.severity import severity
from sextant.evaluation.drift.stat_tests import method_of
from sextant.evaluation.frames import ConformedFrame, conform
from sextant.evaluation.in_time.hours import EVENT_HOUR
from sextant.evaluation.in_time.matching import Matching
from sextant.evaluation.in_time.null import MOST_SKEWED, Key, Null, Nulls
from sextant.evaluation.performance.error_growth import (
    CONCEPT_DRIFT,
    ESTIMATED_DEGRADATION,
    PERFORMANCE_DEGRADATION,
    growth,
)
from sextant.evaluation.performance.estimation import Days, days_of, expected_on_other_days
from sextant.evaluation.performance.fairness import FAIRNESS_GAP, Sides, told_by
from sextant.evaluation.performance.measures import MIN_LABELLED, labelled_errors
from sextant.evaluation.reference import Reference, ReferencePart

SIZES = (30, 100, 200, 500, 1_000, 2_000, 4_000)
MULTIVARIATE_SIZES = (200, 700, 2_000)
LARGEST_SHARE = 5
"""No block is larger than a fifth of the rows."""

BLOCKS, BLOCKS_OF_SLOW_TESTS = 100, 20
"""Blocks at each size, where there are rows enough; more would overlap more, and tell hardly more."""

Progress = Callable[[str, int, int], None]
Positions = NDArray[np.intp]
Scores = Iterator[tuple[Key, float, float]]
"""Of one block: a test, its score, and how many values it was told by."""


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


@dataclass(frozen=True)
class DenseRows:
    """All rows of the reference period, and where the reference holds them."""

    reference: Reference
    frame: ConformedFrame
    days: Days
    kept_at: Positions
    """Of each row the place among the reference's rows; -1 where it is not one of them."""

    errors: "pd.Series[float]"
    expected: "pd.Series[float] | None"
    """What an estimator expects that knows other days only."""

    @classmethod
    def of(cls, reference: Reference, dense: pd.DataFrame, reference_positions: Positions) -> "DenseRows":
        """From the rows in the order of their times."""
        frame = conform(dense, reference.manifest)
        days = days_of(dense, reference.manifest)
        if days is None:
            raise ValueError("the rows have no times")
        kept_at = np.full(len(dense), -1, dtype=np.intp)
        kept_at[reference_positions] = np.arange(len(reference_positions))
        try:
            expected = expected_on_other_days(reference, frame, days)
        except ValueError:
            expected = None
        return cls(reference, frame, days, kept_at, labelled_errors(frame, reference.manifest.task), expected)

    def matching(self, block: Positions) -> Matching:
        """A block beside the reference rows of the same hours, without its own."""
        whole = self.reference.whole
        if whole.hours is None:
            raise ValueError("the rows have no times")
        own = self.kept_at[block]
        return Matching(whole.hours, whole.index, self.frame[EVENT_HOUR].iloc[block], own[own >= 0])


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
        return Null(
            rows=tuple(float(np.mean(self.told_by[size])) for size in sizes),
            means=tuple(float(each.mean()) for each in scores),
            deviations=tuple(float(each.std(ddof=1)) for each in scores),
            skewnesses=tuple(_skewness(each) for each in scores),
            independent=tuple(
                max(min(float(days), self.independent[size], float(len(each))), 2.0)
                for size, each in zip(sizes, scores, strict=True)
            ),
        )


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


@dataclass(frozen=True)
class WindowScores:
    """Columns, errors and gaps of a block of all rows."""

    rows: DenseRows

    def of(self, block: Positions) -> Scores:
        """Every test but those of segments' columns and of all features together."""
        rows, reference = self.rows, self.rows.reference
        matching = rows.matching(block)
        frame = rows.frame.iloc[block]
        weights = matching.weights(frame.index)
        yield from _columns(reference.whole, reference, frame, weights, "")
        errors = rows.errors[rows.errors.index.isin(frame.index)]
        if len(errors) < MIN_LABELLED or reference.errors is None or reference.errors.mean <= 0.0:
            return
        error = reference.errors.mean
        known = reference.row_errors
        yield self._growth(PERFORMANCE_DEGRADATION, errors, known, error, matching)
        yield from self._estimated(frame, errors, error, matching)
        yield from self._gaps(frame, errors, matching)

    def _growth(
        self, name: str, values: "pd.Series[float]", known: "pd.Series[float]", error: float, matching: Matching
    ) -> tuple[Key, float, float]:
        before = matching.mean(known, values.index)
        return (name, "", ""), growth(float(values.mean()), before, error), len(values)

    def _estimated(
        self, frame: pd.DataFrame, errors: "pd.Series[float]", error: float, matching: Matching
    ) -> Scores:
        if self.rows.expected is None:
            return
        in_reference = self.rows.kept_at >= 0
        known = self.rows.expected[in_reference]
        known.index = pd.Index(self.rows.kept_at[in_reference])
        expected = self.rows.expected.loc[frame.index].dropna()
        yield self._growth(ESTIMATED_DEGRADATION, expected, known.dropna(), error, matching)
        unexplained = (errors - expected.reindex(errors.index)).dropna()
        known_unexplained = (self.rows.reference.row_errors - known).dropna()
        yield self._growth(CONCEPT_DRIFT, unexplained, known_unexplained, error, matching)

    def _gaps(self, frame: pd.DataFrame, errors: "pd.Series[float]", matching: Matching) -> Scores:
        fairness, weights = self.rows.reference.fairness, matching.weights(errors.index)
        for column in self.rows.reference.segment_columns:
            for segment, part in column.split(ConformedFrame(frame)):
                sides = Sides.of(errors, part.index)
                if sides is None or segment not in fairness.segments:
                    continue
                gap = fairness.log_gap(segment, sides, matching.index, weights)
                if gap is not None:
                    yield (FAIRNESS_GAP, "", segment), gap, told_by(sides)


@dataclass(frozen=True)
class SegmentScores:
    """The columns of a block of one segment's rows."""

    rows: DenseRows
    segment: str
    part: ReferencePart

    def of(self, block: Positions) -> Scores:
        """Every column's score."""
        frame = self.rows.frame.iloc[block]
        if self.part.hours is None:
            return
        weights = self.part.hours.weights(frame[EVENT_HOUR].to_numpy())
        own = self.rows.kept_at[block]
        weights[self.part.index.get_indexer(pd.Index(own[own >= 0]))] = 0.0
        yield from _columns(self.part, self.rows.reference, frame, weights, self.segment)


def _columns(part: ReferencePart, reference: Reference, frame: pd.DataFrame, weights: Any, segment: str) -> Scores:
    for column in reference.columns:
        present = frame[column.name].dropna()
        scorer = part.scorer(column.name, weights)
        if scorer is not None and len(present) >= MIN_VALUES:
            score = scorer.score(present)
            yield (DRIFT, column.name, segment), severity(method_of(column), score), len(present)


@dataclass(frozen=True)
class AllTogether:
    """All features of a block at once."""

    rows: DenseRows
    domain: DomainClassifier
    matrix: Any

    def of(self, block: Positions) -> Scores:
        """One score, by a classifier."""
        weights = self.rows.matching(block).weights(self.rows.frame.index[block])
        yield (MULTIVARIATE_DRIFT, "", ""), self.domain.severity(self.matrix[block], weights), len(block)
