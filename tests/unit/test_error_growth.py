import numpy as np
import pandas as pd
import pytest

from sextant.evaluation.performance.error_growth import (
    SMALLEST_GROWTH,
    EstimatedReference,
    Moments,
    measure_concept_drift,
    measure_estimated_degradation,
    measure_performance_degradation,
)
from sextant.evaluation.performance.measures import labelled_errors
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict
from tests.errors import heavy, rare

ROWS = 10_000


def found_in(errors: np.ndarray, reference: Moments | None, rate: float | None = 0.01) -> Verdict:
    found = measure_performance_degradation(pd.Series(errors), reference, rate)
    assert found.value is not None
    return found


def why_not_judged(found: Verdict) -> str:
    assert found == Verdict(found.name, reason=found.reason)
    return found.reason


def test_errors_that_grew_by_half_are_found_in_a_few_hundred_rows() -> None:
    random = np.random.default_rng(2)
    found = found_in(1.5 * heavy(random, 300), Moments.of(heavy(random, ROWS)))
    assert found.detected
    assert found.value == pytest.approx(0.5, abs=0.2)
    assert found.threshold is not None
    assert found.threshold < 0.3
    assert found.threshold_ratio == found.value / found.threshold > 1.0


def test_a_model_that_got_better_has_not_drifted() -> None:
    assert found_in(np.full(100, 0.1), Moments(ROWS, 1.0, 1.0, 2.0)).detected is False


def test_without_a_rate_there_is_a_ratio_and_no_verdict() -> None:
    found = found_in(np.full(100, 2.0), Moments(ROWS, 1.0, 1.0, 2.0), None)
    assert found == Verdict("performance_degradation", 1.0, reason=NOT_CALIBRATED)


def test_a_wrong_class_is_an_error_of_one() -> None:
    rows = pd.DataFrame({"prediction": ["a"] * 100, "target": ["a"] * 90 + ["b"] * 10})
    reference = Moments.of(labelled_errors(rows, "classification"))
    assert reference.mean == pytest.approx(0.1)
    found = found_in(rare(np.random.default_rng(1), 200) + 0.4, reference)
    assert found.value == pytest.approx(3.5, abs=0.5)
    assert found.detected


def test_too_few_labelled_rows_a_perfect_model_or_no_labels_now_give_nothing_but_the_reason() -> None:
    ones = pd.Series(np.ones(50))
    for errors, reference, reason in (
        (ones, None, "the reference has fewer than 30 labelled rows"),
        (ones, Moments.of(np.zeros(100)), "the reference has no error"),
        (ones[:29], Moments.of(ones), "29 rows to tell by, fewer than 30"),
    ):
        assert why_not_judged(measure_performance_degradation(errors, reference, 0.01)) == reason


def test_errors_that_are_all_equal_differ_by_more_than_rounding_before_they_alarm() -> None:
    reference = Moments.of(np.full(100, 0.1 + 0.2))
    assert found_in(np.full(50, 0.3), reference).detected is False
    rounded = found_in(np.full(50, 0.3000001), reference)
    assert rounded.value == pytest.approx(0, abs=1e-6)
    assert (rounded.threshold, rounded.detected) == (SMALLEST_GROWTH, False)
    assert found_in(np.full(50, 0.31), reference).detected is True


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_errors_too_large_for_a_float_give_no_verdict_and_stop_nothing() -> None:
    huge = np.array([1e200, 1e-200] * 50)
    without = found_in(huge, Moments.of(huge))
    assert (without.threshold, without.threshold_ratio, without.detected) == (None, None, None)
    assert without.reason == "no threshold can be told from the reference"
    beyond = measure_performance_degradation(pd.Series(np.full(50, 1e308)), Moments.of(np.full(100, 0.5)), 0.01)
    assert why_not_judged(beyond) == "the numbers are too large to compare"


@pytest.fixture
def estimated() -> EstimatedReference:
    """Rows that are expected to err by 1 to 3 and do so, give or take a heavy tail."""
    expected, errors = expected_and_errors(ROWS, seed=0)
    return EstimatedReference.of(errors.to_numpy(), expected)


def expected_and_errors(
    rows: int, *, seed: int, scale: float = 1.0
) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    random = np.random.default_rng(seed)
    expected = scale * random.uniform(1.0, 3.0, rows)
    errors = expected * heavy(random, rows) / np.exp(0.32)  # whose mean is 1
    return pd.Series(expected), pd.Series(errors)


def alarms_among(found: list[Verdict]) -> int:
    assert None not in {growth.detected for growth in found}
    return sum(bool(growth.detected) for growth in found)


def test_neither_the_unexplained_nor_the_estimated_error_alarms_more_often_than_stated(
    estimated: EstimatedReference,
) -> None:
    windows = [expected_and_errors(500, seed=seed) for seed in range(1, 201)]
    unexplained = [measure_concept_drift(errors, expected, estimated, 0.05) for expected, errors in windows]
    degraded = [measure_estimated_degradation(expected, estimated, 0.05) for expected, _ in windows]
    assert 1 <= alarms_among(unexplained) <= 22
    assert 1 <= alarms_among(degraded) <= 22


def test_rows_that_are_harder_are_estimated_degradation_and_explain_their_error(
    estimated: EstimatedReference,
) -> None:
    expected, errors = expected_and_errors(1_000, seed=3, scale=1.5)
    degraded = measure_estimated_degradation(expected, estimated, 0.01)
    assert degraded.detected
    assert degraded.value == pytest.approx(0.5, abs=0.05)
    unexplained = measure_concept_drift(errors, expected, estimated, 0.01)
    assert unexplained.detected is False


def test_error_beyond_the_estimate_is_found_though_it_is_below_the_references(
    estimated: EstimatedReference,
) -> None:
    expected, errors = expected_and_errors(2_000, seed=1, scale=0.6)
    errors *= 1.3
    realised = measure_performance_degradation(errors, Moments.of(expected_and_errors(ROWS, seed=0)[1]), 0.01)
    assert realised.value is not None
    assert realised.value < 0
    unexplained = measure_concept_drift(errors, expected, estimated, 0.01)
    assert unexplained.detected
    assert unexplained.value == pytest.approx(0.6 * 0.3, abs=0.06)


def test_rows_without_target_or_estimate_count_on_neither_side(estimated: EstimatedReference) -> None:
    expected, errors = expected_and_errors(60, seed=1)
    for found, rows in (
        (measure_concept_drift(errors[:29], expected, estimated, 0.01), 29),
        (measure_concept_drift(errors, expected.where(expected.index < 29), estimated, 0.01), 29),
        (measure_concept_drift(errors[:0], expected, estimated, 0.01), 0),
        (measure_estimated_degradation(expected.where(expected.index < 29), estimated, 0.01), 29),
    ):
        assert why_not_judged(found) == f"{rows} rows to tell by, fewer than 30"
    whole = measure_concept_drift(errors[:40], expected[:40], estimated, 0.01)
    assert whole.detected is not None
    assert measure_concept_drift(errors[:40], expected, estimated, 0.01) == whole


def test_a_reference_without_error_leaves_nothing_to_compare_with() -> None:
    zeros = pd.Series(np.zeros(200))
    perfect = EstimatedReference.of(zeros.to_numpy(), zeros)
    for found in (
        measure_concept_drift(zeros + 1.0, zeros, perfect, 0.01),
        measure_estimated_degradation(zeros + 1.0, perfect, 0.01),
    ):
        assert why_not_judged(found) == "the reference has no error"
