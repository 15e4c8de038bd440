"""The one table of verdicts: what is judged of a window, by which function, and in which words and metrics.

Metrics, JSON, pages, reports, stored documents, backtests and benchmarks loop over `KINDS`; a new verdict is one
function and one entry here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sextant.evaluation.case import NO_SUCH_HOURS, Case
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.drift.multivariate import MULTIVARIATE_DRIFT
from sextant.evaluation.performance.error_growth import (
    CONCEPT_DRIFT,
    ESTIMATED_DEGRADATION,
    PERFORMANCE_DEGRADATION,
    measure_concept_drift,
    measure_estimated_degradation,
    measure_performance_degradation,
)
from sextant.evaluation.performance.fairness import FAIRNESS_GAP
from sextant.evaluation.quality import DATA_QUALITY, judge_quality
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict, any_of

DATASET_DRIFT, SEGMENT_DRIFT = "dataset_drift", "segment_drift"
NO_ESTIMATOR = "there is no estimator of the errors yet"

Field = Literal["value", "threshold", "threshold_ratio", "detected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of verdict: how it is judged, what people read, and which metrics it has."""

    name: str
    title: str
    value: str
    """What a verdict's value is."""

    chance: str = ""
    """What its threshold is."""

    ratio: str = "How far the score is, in thresholds: above 1 it drifted, with any method."
    """What its threshold_ratio is."""

    found: str
    """What it means that it is detected."""

    judge: Callable[[Case], Iterable[Verdict]] | None = None
    """None: judged apart, on a slower beat."""

    labels: Mapping[str, Literal["column", "segment", "check", "method"]] = field(default_factory=dict)
    """Labels of its metrics beside model and version, by the field of the verdict that they hold."""

    metrics: Mapping[str, Field]
    """Suffixes of its metrics, by the field of the verdict that they hold."""

    unit: Literal["score", "ratio", "share"] = "ratio"
    yes: str = "detected"
    no: str = "not detected"
    summed_up_by: str = ""
    """The kind that alarms in its place."""


def _drift(case: Case) -> Iterable[Verdict]:
    return case.columns


def _dataset_drift(case: Case) -> Iterable[Verdict]:
    yield any_of(DATASET_DRIFT, case.columns, reason=_why(case.calibration, "no column could be judged"))


def _segment_drift(case: Case) -> Iterable[Verdict]:
    reason = _why(case.segment_calibration, "too few rows, here or in the reference")
    for segment, rows in case.segments.items():
        yield any_of(SEGMENT_DRIFT, case.columns_of(segment, rows), segment=segment, reason=reason)


def _why(calibration: Calibration | None, otherwise: str) -> str:
    return NOT_CALIBRATED if calibration is None else otherwise


def _performance_degradation(case: Case) -> Iterable[Verdict]:
    in_time = case.growth_in_time(PERFORMANCE_DEGRADATION, case.reference.row_errors)
    yield measure_performance_degradation(case.errors, case.reference.errors, case.rate, in_time)


def _concept_drift(case: Case) -> Iterable[Verdict]:
    if case.estimator is None or case.expected_errors is None:
        yield Verdict(CONCEPT_DRIFT, reason=NO_ESTIMATOR)
    elif reason := case.estimator.unfamiliar(case.window):
        yield Verdict(CONCEPT_DRIFT, reason=reason)
    else:
        known = case.estimator.estimated_reference
        in_time = case.growth_in_time(CONCEPT_DRIFT, known.unexplained_rows)
        yield measure_concept_drift(case.errors, case.expected_errors, known, case.rate, in_time)


def _estimated_degradation(case: Case) -> Iterable[Verdict]:
    if case.estimator is None or case.expected_errors is None:
        yield Verdict(ESTIMATED_DEGRADATION, reason=NO_ESTIMATOR)
    else:
        known = case.estimator.estimated_reference
        in_time = case.growth_in_time(ESTIMATED_DEGRADATION, known.expected_rows)
        verdict = measure_estimated_degradation(case.expected_errors, known, case.rate, in_time)
        # What is estimated too low and still too high is told.
        reason = "" if verdict.detected else case.estimator.unfamiliar(case.window)
        yield verdict.because(reason) if reason else verdict


def _fairness_gap(case: Case) -> Iterable[Verdict]:
    segments = {segment: rows.index for segment, rows in case.segments.items()}
    return case.reference.fairness.measure(case.errors, segments, case.rate, case.gaps_in_time())


def _data_quality(case: Case) -> Iterable[Verdict]:
    known = case.reference_quality
    found = judge_quality(case.quality, len(case.window), known.shares, known.rows, case.rate)
    return found if len(case.window) else [verdict.because(NO_SUCH_HOURS) for verdict in found]


GROWTH: Mapping[str, Field] = {"ratio": "value", "threshold": "threshold", "detected": "detected"}

KINDS = (
    Kind(
        name=DRIFT,
        title="Drift by column",
        value="Drift score of a column, in the method's own scale.",
        chance="Calibrated threshold of the score for a window of this size.",
        found="Whether the column is beyond its threshold (0 or 1).",
        judge=_drift,
        labels={"feature": "column", "method": "method"},
        metrics={
            "score": "value",
            "threshold": "threshold",
            "threshold_ratio": "threshold_ratio",
            "detected": "detected",
        },
        unit="score",
        yes="drifted",
        no="no drift",
        summed_up_by=DATASET_DRIFT,
    ),
    Kind(
        name=DATASET_DRIFT,
        title="Dataset drift",
        value="Share of the judged columns beyond their threshold.",
        found="Whether any column drifted, at the stated false-alarm rate (0 or 1).",
        judge=_dataset_drift,
        metrics={"": "detected"},
        unit="share",
        yes="drift",
        no="no drift",
    ),
    Kind(
        name=MULTIVARIATE_DRIFT,
        title="Drift of all features together",
        value="ROC AUC of a classifier that distinguishes window from reference; 0.5: indistinguishable.",
        chance="Calibrated threshold of that score.",
        found="Whether all features together drifted (0 or 1).",
        metrics={"score": "value", "threshold": "threshold", "detected": "detected"},
        unit="score",
    ),
    Kind(
        name=SEGMENT_DRIFT,
        title="Segment drift",
        value="Share of the segment's judged columns beyond their threshold.",
        ratio="Largest drift of the segment's columns, in thresholds.",
        found="Whether any column of the segment drifted (0 or 1).",
        judge=_segment_drift,
        labels={"segment": "segment"},
        metrics={"score": "threshold_ratio", "detected": "detected"},
        unit="share",
        yes="drift",
        no="no drift",
    ),
    Kind(
        name=PERFORMANCE_DEGRADATION,
        title="Performance degradation",
        value="(Error now - error on the reference) / error on the reference.",
        chance="What the ratio may reach by chance with this number of labelled rows.",
        found="Whether the error grew beyond that (0 or 1).",
        judge=_performance_degradation,
        metrics=GROWTH,
    ),
    Kind(
        name=CONCEPT_DRIFT,
        title="Concept drift",
        value="(Error now - estimated error of the same rows) / error on the reference.",
        chance="What that ratio may reach by chance with this number of labelled rows.",
        found="Whether the error is beyond what these rows lead to expect (0 or 1).",
        judge=_concept_drift,
        metrics=GROWTH,
    ),
    Kind(
        name=ESTIMATED_DEGRADATION,
        title="Estimated degradation",
        value="(Estimated error now - estimated error on the reference) / the latter.",
        chance="What that ratio may reach by chance with this number of rows.",
        found="Whether the estimated error grew beyond that (0 or 1).",
        judge=_estimated_degradation,
        metrics=GROWTH,
    ),
    Kind(
        name=FAIRNESS_GAP,
        title="Fairness gap",
        value="(Error of a segment / error of all other rows) now / the same on the reference - 1.",
        chance="What that ratio may reach by chance with this number of labelled rows.",
        found="Whether the gap is beyond that (0 or 1).",
        judge=_fairness_gap,
        labels={"segment": "segment"},
        metrics=GROWTH,
        yes="gap",
        no="no gap",
    ),
    Kind(
        name=DATA_QUALITY,
        title="Data quality",
        value="Share of the window's rows that fail the check.",
        found="Whether the share exceeds the reference's by 0.01 and more than chance (0 or 1).",
        judge=_data_quality,
        labels={"feature": "column", "check": "check"},
        metrics={"detected": "detected"},
        unit="share",
    ),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


def judge(case: Case) -> tuple[Verdict, ...]:
    """Every verdict on a window, in the table's order; what cannot be judged says why."""
    return tuple(case.root_of(verdict) for kind in KINDS if kind.judge is not None for verdict in kind.judge(case))
