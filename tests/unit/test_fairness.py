from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Task
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.performance.error_growth import ErrorGrowth
from sextant.evaluation.performance.fairness import FairnessReference
from sextant.evaluation.reference import Reference
from tests.bundles import make_trips, publish_trips

Draw = Callable[[np.random.Generator, int], np.ndarray]
SEGMENT = "payment_type=1"


def heavy(random: np.random.Generator, rows: int) -> np.ndarray:
    """Errors with a heavy tail."""
    return random.lognormal(0, 1.0, rows)


def wrong(random: np.random.Generator, rows: int) -> np.ndarray:
    """A wrong class in ten of 100 rows."""
    return (random.random(rows) < 0.1).astype(float)


def reference_of(task: Task, inside: np.ndarray, outside: np.ndarray) -> FairnessReference:
    return FairnessReference.of(task, *sides(inside, outside))


def sides(inside: np.ndarray, outside: np.ndarray) -> tuple["pd.Series[float]", dict[str, "pd.Index[int]"]]:
    return pd.Series(np.concatenate([inside, outside])), {SEGMENT: pd.RangeIndex(len(inside))}


def gap_of(
    reference: FairnessReference, inside: np.ndarray, outside: np.ndarray, rate: float | None = 0.01
) -> ErrorGrowth:
    return reference.measure(*sides(inside, outside), rate)[SEGMENT]


@pytest.mark.parametrize(("task", "draw"), [("regression", heavy), ("classification", wrong)])
@pytest.mark.parametrize("rows", [(100, 2_000, 50, 400), (1_000, 1_000, 300, 300)])
def test_a_segment_that_is_served_as_before_alarms_no_more_often_than_stated(
    task: Task, draw: Draw, rows: tuple[int, int, int, int]
) -> None:
    # A new reference each time, and a window that errs by a third more in all segments alike.
    random, alarms = np.random.default_rng(3), 0
    for _ in range(300):
        errors = [draw(random, number) for number in rows]
        now = (1.3 * errors[2], 1.3 * errors[3]) if task == "regression" else (errors[2], errors[3])
        alarms += bool(gap_of(reference_of(task, *errors[:2]), *now, rate=0.05).drifted)
    assert 1 <= alarms <= 26  # a rate of 0.05 allows 15


@pytest.mark.parametrize(("task", "draw"), [("regression", heavy), ("classification", wrong)])
def test_a_segment_that_is_served_half_again_as_badly_is_found(task: Task, draw: Draw) -> None:
    random = np.random.default_rng(4)
    reference = reference_of(task, draw(random, 3_000), draw(random, 7_000))
    worse = draw(random, 600)
    worse = 1.5 * worse if task == "regression" else np.maximum(worse, draw(random, 600))
    found = gap_of(reference, worse, draw(random, 1_400))
    assert found.drifted
    assert found.ratio > 0.3
    better = gap_of(reference, 0.0 * worse, draw(random, 1_400))
    assert better.ratio == pytest.approx(-1.0, abs=0.02)
    assert better.drifted is False


def test_the_gap_is_the_ratio_of_ratios() -> None:
    reference = reference_of("regression", np.full(50, 2.0), np.full(50, 1.0))
    assert gap_of(reference, np.full(40, 9.0), np.full(40, 3.0), None) == ErrorGrowth(
        pytest.approx(0.5), None, None
    )
    of_ten = np.arange(100) % 10
    counted = reference_of("classification", of_ten < 2.0, of_ten < 1.0)
    assert gap_of(counted, of_ten < 6.0, of_ten < 2.0).ratio == pytest.approx(0.5)


def test_the_rate_is_shared_by_all_judged_segments() -> None:
    random = np.random.default_rng(5)
    errors = pd.Series(heavy(random, 2_000))
    one = {"a=0": pd.RangeIndex(500)}
    four = {f"a={start}": pd.RangeIndex(500 * start, 500 * (start + 1)) for start in range(4)}
    reference = FairnessReference.of("regression", errors, four)
    thresholds = [reference.measure(errors, segments, 0.01)["a=0"].threshold for segments in (one, four)]
    same = reference.measure(errors, one, 0.0025)["a=0"].threshold
    assert None not in thresholds
    assert thresholds[0] < thresholds[1] == pytest.approx(same)


@pytest.mark.parametrize("zero", range(4))
def test_where_one_of_the_four_errors_is_zero_a_classifier_is_judged_and_a_ratio_of_zero_by_zero_is_not(
    zero: int,
) -> None:
    of_ten = (np.arange(200) % 10 < 3).astype(float)
    errors = [np.zeros(200) if number == zero else of_ten for number in range(4)]
    counted = gap_of(reference_of("classification", *errors[:2]), *errors[2:])
    assert np.isfinite(counted.ratio)
    assert counted.drifted is (zero in (0, 3))  # the segment is now worse than before, or than the others
    regression = reference_of("regression", *errors[:2]).measure(*sides(*errors[2:]), 0.01)
    assert (SEGMENT in regression) is (zero == 2)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_no_errors_at_all_say_nothing(task: Task) -> None:
    zeros = np.zeros(100)
    assert reference_of(task, zeros, zeros).measure(*sides(zeros, zeros), 0.01) == {}


def test_errors_that_are_all_equal_are_no_gap() -> None:
    reference = reference_of("regression", np.full(50, 0.1), np.full(50, 0.3))
    assert gap_of(reference, np.full(50, 0.2), np.full(50, 0.6)).drifted is False


def test_too_few_labelled_rows_on_any_side_are_not_judged() -> None:
    many, few = np.ones(100), np.ones(29)
    for number in range(4):
        errors = [few if number == side else many for side in range(4)]
        assert reference_of("regression", *errors[:2]).measure(*sides(*errors[2:]), 0.01) == {}


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid", "ignore:divide")
@pytest.mark.parametrize("size", [1e-300, 1e200, 1e308])
def test_absurd_errors_stop_nothing(size: float) -> None:
    errors = size * heavy(np.random.default_rng(1), 100) / 100
    reference = reference_of("regression", errors, errors)
    for found in reference.measure(*sides(errors, errors), 0.01).values():
        assert np.isfinite(found.ratio)
        assert not found.drifted


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=3_000)
    return Reference.prepare(bundle.manifest, bundle.reference())


def gaps(trips: Reference, window: pd.DataFrame) -> dict[str, ErrorGrowth | None]:
    return {name: segment.fairness_gap for name, segment in evaluate(trips, window).segments.items()}


def test_an_evaluation_tells_the_gap_of_each_segment_with_labels_enough(trips: Reference) -> None:
    window = make_trips(1_000, seed=2)
    cash = window["payment_type"] == "2"
    window.loc[cash, "target"] = window["prediction"] + 2 * (window["target"] - window["prediction"])
    found = gaps(trips, window)
    assert found["payment_type=2"].ratio == pytest.approx(1.0, abs=0.25)
    assert found["payment_type=1"].ratio < -0.3
    window.loc[cash, "target"] = np.nan
    assert set(gaps(trips, window).values()) == {None}


def test_a_single_segment_has_nothing_to_stand_against(trips: Reference) -> None:
    assert gaps(trips, make_trips(500).assign(payment_type="1")) == {"payment_type=1": None}
    alone = Reference.prepare(trips.manifest, trips.frame.assign(payment_type="1"))
    assert set(gaps(alone, make_trips(500)).values()) == {None}
