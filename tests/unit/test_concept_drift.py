import numpy as np
import pandas as pd
import pytest

from evaluation.concept_drift import ConceptDrift, ReferenceErrors, measure_concept_drift
from evaluation.performance import Performance

ROWS = 10_000


def frame_of(errors: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"prediction": errors, "target": 0.0})


def found_in(errors: np.ndarray, reference: ReferenceErrors, rate: float | None = 0.01) -> ConceptDrift:
    now = Performance(len(errors), {"mae": float(np.abs(errors).mean())})
    found = measure_concept_drift(now, reference, "regression", rate)
    assert found is not None
    return found


@pytest.mark.parametrize("rows", [30, 200, 2_000])
def test_errors_that_did_not_grow_alarm_about_as_rarely_as_stated(rows: int) -> None:
    # Heavy-tailed errors; at a rate of 0.05, 50 of 1,000 windows are expected.
    random = np.random.default_rng(1)
    reference = ReferenceErrors.of(frame_of(random.lognormal(0, 0.8, ROWS)), "regression")
    assert reference is not None
    alarms = sum(bool(found_in(random.lognormal(0, 0.8, rows), reference, 0.05).drifted) for _ in range(1_000))
    assert 20 <= alarms <= 95


def test_errors_that_grew_by_half_are_found_in_a_few_hundred_rows() -> None:
    random = np.random.default_rng(2)
    reference = ReferenceErrors.of(frame_of(random.lognormal(0, 0.8, ROWS)), "regression")
    assert reference is not None
    found = found_in(1.5 * random.lognormal(0, 0.8, 300), reference)
    assert found.drifted
    assert found.ratio == pytest.approx(0.5, abs=0.2)
    assert found.threshold is not None
    assert found.threshold < 0.3


def test_a_model_that_got_better_has_not_drifted() -> None:
    reference = ReferenceErrors(ROWS, 1.0, 1.0, 2.0)
    assert found_in(np.full(100, 0.1), reference).drifted is False


def test_without_a_rate_there_is_a_ratio_and_no_verdict() -> None:
    assert found_in(np.full(100, 2.0), ReferenceErrors(ROWS, 1.0, 1.0, 2.0), None) == ConceptDrift(1.0, None, None)


def test_a_wrong_class_is_an_error_of_one() -> None:
    rows = pd.DataFrame({"prediction": ["a"] * 100, "target": ["a"] * 90 + ["b"] * 10})
    reference = ReferenceErrors.of(rows, "classification")
    assert reference is not None
    assert reference.mean == pytest.approx(0.1)
    found = measure_concept_drift(Performance(200, {"accuracy": 0.6}), reference, "classification", 0.01)
    assert found is not None
    assert found.ratio == pytest.approx(3.0)
    assert found.drifted


def test_too_few_labelled_rows_a_perfect_model_or_no_labels_now_give_nothing() -> None:
    assert ReferenceErrors.of(frame_of(np.ones(29)), "regression") is None
    perfect = ReferenceErrors.of(frame_of(np.zeros(100)), "regression")
    assert measure_concept_drift(Performance(50, {"mae": 1.0}), perfect, "regression", 0.01) is None
    assert measure_concept_drift(Performance(0), ReferenceErrors(9, 1.0, 1.0, 0.0), "regression", 0.01) is None
