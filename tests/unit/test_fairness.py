from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Task
from sextant.evaluation.performance.fairness import FAIRNESS_GAP, FairnessReference
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict
from tests.bundles import evaluated, make_trips, publish_trips
from tests.errors import heavy, wrong

Draw = Callable[[np.random.Generator, int], np.ndarray]
SEGMENT = "payment_type=1"
TOO_FEW = "too few labelled rows in it or beside it"
NO_ERROR = "there is no error to compare with"


def reference_of(task: Task, inside: np.ndarray, outside: np.ndarray) -> FairnessReference:
    return FairnessReference.of(task, *sides(inside, outside))


def sides(inside: np.ndarray, outside: np.ndarray) -> tuple["pd.Series[float]", dict[str, "pd.Index[int]"]]:
    return pd.Series(np.concatenate([inside, outside])), {SEGMENT: pd.RangeIndex(len(inside))}


def gap_of(
    reference: FairnessReference, inside: np.ndarray, outside: np.ndarray, rate: float | None = 0.01
) -> Verdict:
    (found,) = reference.measure(*sides(inside, outside), rate)
    assert (found.name, found.segment) == (FAIRNESS_GAP, SEGMENT)
    return found


def why_not_judged(found: Verdict) -> str:
    assert found == Verdict(FAIRNESS_GAP, segment=found.segment, reason=found.reason)
    return found.reason


@pytest.mark.parametrize(("task", "draw"), [("regression", heavy), ("classification", wrong)])
def test_a_segment_that_is_served_half_again_as_badly_is_found(task: Task, draw: Draw) -> None:
    random = np.random.default_rng(4)
    reference = reference_of(task, draw(random, 3_000), draw(random, 7_000))
    worse = draw(random, 600)
    worse = 1.5 * worse if task == "regression" else np.maximum(worse, draw(random, 600))
    found = gap_of(reference, worse, draw(random, 1_400))
    assert found.detected
    assert found.value is not None
    assert found.value > 0.3
    better = gap_of(reference, 0.0 * worse, draw(random, 1_400))
    assert better.value == pytest.approx(-1.0, abs=0.02)
    assert better.detected is False


def test_the_gap_is_the_ratio_of_ratios() -> None:
    reference = reference_of("regression", np.full(50, 2.0), np.full(50, 1.0))
    uncalibrated = gap_of(reference, np.full(40, 9.0), np.full(40, 3.0), None)
    assert uncalibrated == Verdict(FAIRNESS_GAP, uncalibrated.value, segment=SEGMENT, reason=NOT_CALIBRATED)
    assert uncalibrated.value == pytest.approx(0.5)
    of_ten = np.arange(100) % 10
    counted = reference_of("classification", of_ten < 2.0, of_ten < 1.0)
    assert gap_of(counted, of_ten < 6.0, of_ten < 2.0).value == pytest.approx(0.5)


def test_the_rate_is_shared_by_all_judged_segments() -> None:
    random = np.random.default_rng(5)
    errors = pd.Series(heavy(random, 2_000))
    one = {"a=0": pd.RangeIndex(500)}
    four = {f"a={start}": pd.RangeIndex(500 * start, 500 * (start + 1)) for start in range(4)}
    reference = FairnessReference.of("regression", errors, four)
    thresholds = [reference.measure(errors, segments, 0.01)[0].threshold for segments in (one, four)]
    same = reference.measure(errors, one, 0.0025)[0].threshold
    assert None not in thresholds
    assert thresholds[0] < thresholds[1] == pytest.approx(same)


@pytest.mark.parametrize("zero", range(4))
def test_where_one_of_the_four_errors_is_zero_a_classifier_is_judged_and_a_ratio_of_zero_by_zero_is_not(
    zero: int,
) -> None:
    of_ten = (np.arange(200) % 10 < 3).astype(float)
    errors = [np.zeros(200) if number == zero else of_ten for number in range(4)]
    counted = gap_of(reference_of("classification", *errors[:2]), *errors[2:])
    assert counted.value is not None
    assert np.isfinite(counted.value)
    assert counted.detected is (zero in (0, 3))  # the segment is now worse than before, or than the others
    regression = gap_of(reference_of("regression", *errors[:2]), *errors[2:])
    if zero == 2:
        assert regression.value == -1.0
        assert regression.detected is False
    else:
        assert why_not_judged(regression) == NO_ERROR


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_no_errors_at_all_say_nothing(task: Task) -> None:
    zeros = np.zeros(100)
    assert why_not_judged(gap_of(reference_of(task, zeros, zeros), zeros, zeros)) == NO_ERROR


def test_errors_that_are_all_equal_are_no_gap() -> None:
    reference = reference_of("regression", np.full(50, 0.1), np.full(50, 0.3))
    assert gap_of(reference, np.full(50, 0.2), np.full(50, 0.6)).detected is False


def test_too_few_labelled_rows_on_any_side_are_not_judged() -> None:
    many, few = np.ones(100), np.ones(29)
    for number in range(4):
        errors = [few if number == side else many for side in range(4)]
        assert why_not_judged(gap_of(reference_of("regression", *errors[:2]), *errors[2:])) == TOO_FEW


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid", "ignore:divide")
@pytest.mark.parametrize("size", [1e-300, 1e200, 1e308])
def test_absurd_errors_stop_nothing(size: float) -> None:
    errors = size * heavy(np.random.default_rng(1), 100) / 100
    reference = reference_of("regression", errors, errors)
    found = gap_of(reference, errors, errors)
    assert found.value is None or np.isfinite(found.value)
    assert not found.detected
    assert found.detected is not None or found.reason


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=3_000)
    return Reference.prepare(bundle.manifest, bundle.reference())


def gaps(trips: Reference, window: pd.DataFrame) -> dict[str, Verdict]:
    found = evaluated(trips, window)
    by_segment = {gap.segment: gap for gap in found.of(FAIRNESS_GAP)}
    assert list(by_segment) == list(found.segments)
    return by_segment


def test_an_evaluation_tells_the_gap_of_each_segment_with_labels_enough(trips: Reference) -> None:
    window = make_trips(1_000, seed=2)
    cash = window["payment_type"] == "2"
    window.loc[cash, "target"] = window["prediction"] + 2 * (window["target"] - window["prediction"])
    found = gaps(trips, window)
    assert found["payment_type=2"].value == pytest.approx(1.0, abs=0.25)
    assert found["payment_type=1"].value is not None
    assert found["payment_type=1"].value < -0.3
    window.loc[cash, "target"] = np.nan
    assert {why_not_judged(gap) for gap in gaps(trips, window).values()} == {TOO_FEW}


def test_a_single_segment_has_nothing_to_stand_against(trips: Reference) -> None:
    found = gaps(trips, make_trips(500).assign(payment_type="1"))
    assert {segment: why_not_judged(gap) for segment, gap in found.items()} == {"payment_type=1": TOO_FEW}
    alone = Reference.prepare(trips.manifest, trips.frame.assign(payment_type="1"))
    assert {why_not_judged(gap) for gap in gaps(alone, make_trips(500)).values()} == {TOO_FEW}
