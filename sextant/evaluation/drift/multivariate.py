"""Drift that no single column shows: how well a classifier tells the window's rows from the reference's."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from sextant.evaluation.drift.calibration import MIN_VALUES, ColumnThresholds, Progress, tail_quantile
from sextant.evaluation.drift.column import Thresholds
from sextant.evaluation.encoding import FeatureEncoder, Matrix
from sextant.evaluation.frames import ConformedFrame
from sextant.evaluation.in_time.hours import EVENT_HOUR, Weights
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict

Mask = NDArray[np.bool_]
Positions = NDArray[np.intp]

MULTIVARIATE_DRIFT = "multivariate_drift"
METHOD = "domain_classifier"
CHANCE = 0.5

REFERENCE_ROWS, WINDOW_ROWS = 5_000, 2_000
"""More rows than these are not compared, so that the cost is bounded: about 80 ms with ten features."""

FOLDS = 3
BINS = 200
GRID_POINTS = 4
SMALLEST_SEVERITY = 0.0025  # for a reference whose rows are all alike: half a percent of other rows
BATCHES, BATCH = 4, 25  # resamples at each size; progress is told, and may stop it, once a batch
SEED = 0  # of what must repeat from one evaluation to the next: rows, folds, trees


class DomainClassifier:
    """Small boosted trees that learn to tell window from reference; the reference's side is prepared once."""

    def __init__(self, reference: Reference) -> None:
        compared = _drawn(len(reference.frame), min(REFERENCE_ROWS, len(reference.frame) // 2))
        # Ranks of categories fit the rows that they were counted in better than any others: that looks like drift.
        counted = np.setdiff1d(np.arange(len(reference.frame)), compared)
        self._encoder = FeatureEncoder.fit(
            reference.manifest.feature_schema.features, reference.frame.iloc[counted]
        )
        self._rows = self._encoder.transform(reference.frame)
        self._compared_at, self._compared = compared, self._rows[compared]
        self._hours = reference.whole.hours if reference.nulls else None

    def matrix(self, frame: ConformedFrame) -> Matrix:
        """A frame's features as the classifier takes them."""
        return self._encoder.transform(frame)

    def severity(self, rows: Matrix, weights: Weights | None) -> float:
        """How well these rows are told from the reference, beyond chance; `weights` are of all reference rows."""
        of_compared = None if weights is None else weights[self._compared_at]
        if of_compared is not None and not of_compared.any():
            raise ValueError("the reference holds no rows of these hours")
        with threadpool_limits(1, user_api="openmp"):  # the other cores belong to those who answer requests
            return separability(self._compared, rows, of_compared) - CHANCE

    def measure(self, window: ConformedFrame, thresholds: Thresholds | None) -> Verdict:
        """Judge a window's features; the same window always has the same score.

        Raises ValueError for a window of fewer than 30 rows or a reference of fewer than 60.
        """
        _require_rows(len(window), "window", MIN_VALUES)
        _require_rows(len(self._rows), "reference", 2 * MIN_VALUES)
        drawn = window.iloc[_drawn(len(window), WINDOW_ROWS)]
        weights = self._hours.weights(drawn[EVENT_HOUR].to_numpy()) if self._hours else None
        score = CHANCE + self.severity(self.matrix(drawn), weights)
        if thresholds is None:
            return Verdict(MULTIVARIATE_DRIFT, score, method=METHOD, reason=NOT_CALIBRATED)
        limit = thresholds.at(len(drawn))
        ratio = (score - CHANCE) / limit
        return Verdict(MULTIVARIATE_DRIFT, score, CHANCE + limit, ratio, ratio > 1.0, method=METHOD)

    def calibrate(
        self, *, false_alarm_rate: float, seed: int = 0, progress: Progress | None = None
    ) -> ColumnThresholds:
        """The score less 0.5 that undrifted windows exceed at this rate; 20 to 30 s of one core.

        Raises ValueError for a reference of fewer than 60 rows; the same seed gives the same thresholds.
        """
        _require_rows(len(self._rows), "reference", 2 * MIN_VALUES)
        random = np.random.default_rng(seed)
        sizes = _size_grid(len(self._rows))
        severities = []
        for done, size in enumerate(sizes):
            null: list[float] = []
            for batch in range(BATCHES):
                if progress:
                    progress(METHOD, done * BATCHES + batch, len(sizes) * BATCHES)
                null += self._null(size, random)
            severities.append(max(tail_quantile(np.array(null), false_alarm_rate), SMALLEST_SEVERITY))
        return ColumnThresholds(METHOD, len(self._compared), sizes, tuple(severities))

    def _null(self, size: int, random: np.random.Generator) -> Iterator[float]:
        """Severities of undrifted windows: both sides are drawn from the reference, without a row in common."""
        with threadpool_limits(1, user_api="openmp"):
            for _ in range(BATCH):
                order = random.permutation(len(self._rows))
                window, others = order[:size], order[size : size + len(self._compared)]
                yield separability(self._rows[others], self._rows[window]) - CHANCE


def separability(reference: Matrix, window: Matrix, weights: Weights | None = None) -> float:
    """Cross-validated ROC AUC of telling the rows of two matrices apart; both hold at least 30.

    `weights` are those of the reference's rows.
    """
    rows = np.vstack([reference, window])
    ours = np.repeat([False, True], [len(reference), len(window)])
    fold = np.concatenate([_folds(len(reference)), _folds(len(window))])
    if weights is not None:
        rows = _binned(rows)
        weights = np.concatenate([weights / weights.mean(), np.ones(len(window))])
    return float(np.mean([_fold_auc(rows, ours, weights, fold == number) for number in range(FOLDS)]))


def _binned(rows: Matrix) -> Matrix:
    """Numbers by their place among at most 200 quantiles, as trees see them.

    Where rows have weights, scikit-learn's own bins take six times as long as its trees.
    """
    shares = np.linspace(0.0, 1.0, BINS)
    binned = np.full(rows.shape, np.nan)
    for at, column in enumerate(rows.T):
        known = ~np.isnan(column)
        if known.any():
            edges = np.unique(np.quantile(column[known], shares))
            binned[known, at] = np.searchsorted(edges, column[known])
    return binned


def _fold_auc(rows: Matrix, ours: Mask, weights: Weights | None, held_out: Mask) -> float:
    known = rows[~held_out]
    known = np.where(np.isnan(known).all(axis=0), 0.0, known)  # scikit-learn cannot bin a column without values
    learned, judged = (None, None) if weights is None else (weights[~held_out], weights[held_out])
    trees = _trees().fit(known, ours[~held_out], learned)
    return float(roc_auc_score(ours[held_out], trees.decision_function(rows[held_out]), sample_weight=judged))


def _trees() -> HistGradientBoostingClassifier:
    # Categories are ordered by frequency, not native: measured, see docs/decisions/multivariate-drift.md.
    return HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=8, early_stopping=False, random_state=SEED)


def _folds(rows: int) -> Positions:
    return np.random.default_rng(SEED).permutation(rows) % FOLDS


def _drawn(rows: int, most: int) -> Positions:
    """Positions of the rows to compare, in order: all of them, or a draw that is always the same."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(SEED).choice(rows, most, replace=False))


def _size_grid(reference_rows: int) -> tuple[int, ...]:
    sizes = np.geomspace(MIN_VALUES, min(WINDOW_ROWS, reference_rows // 2), GRID_POINTS)
    return tuple(sorted({round(size) for size in sizes}))


def _require_rows(rows: int, side: str, least: int) -> None:
    if rows < least:
        raise ValueError(f"the {side} holds {rows} rows, fewer than {least}")
