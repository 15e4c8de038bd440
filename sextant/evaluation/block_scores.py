"""What one block of consecutive rows scores in every test, as a window would."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.evaluation.drift.calibration import MIN_VALUES
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.drift.multivariate import MULTIVARIATE_DRIFT, DomainClassifier
from sextant.evaluation.drift.severity import severity
from sextant.evaluation.drift.stat_tests import method_of
from sextant.evaluation.frames import ConformedFrame, conform
from sextant.evaluation.in_time.hours import EVENT_HOUR
from sextant.evaluation.in_time.matching import Matching
from sextant.evaluation.in_time.null import Key
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

Positions = NDArray[np.intp]
Scores = Iterator[tuple[Key, float, float]]
"""Of one block: a test, its score, and how many values it was told by."""


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
