import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.scorers import scorer_of
from sextant.evaluation.drift.stat_tests import drift_score

NUMBER = Feature(name="x", kind="numerical")
CATEGORY = Feature(name="c", kind="categorical")

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)), min_size=2, max_size=60)
categories = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60)


@given(numbers, numbers)
def test_the_prepared_wasserstein_score_is_evidentlys(reference: list[float], current: list[float]) -> None:
    known, now = pd.Series(reference), pd.Series(current)
    expected = drift_score(NUMBER, known, now)
    assert scorer_of(NUMBER, known).score(now) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(categories, categories)
def test_the_prepared_jensen_shannon_score_is_evidentlys(reference: list[str], current: list[str]) -> None:
    known, now = pd.Series(reference), pd.Series(current)
    expected = drift_score(CATEGORY, known, now)
    assert scorer_of(CATEGORY, known).score(now) == pytest.approx(expected, rel=1e-9, abs=1e-7)


def test_on_long_columns_both_agree_to_nine_digits() -> None:
    random = np.random.default_rng(1)
    known, now = pd.Series(random.lognormal(1, 1, 10_000)), pd.Series(random.lognormal(1.2, 1, 2_000))
    assert scorer_of(NUMBER, known).score(now) == pytest.approx(drift_score(NUMBER, known, now), rel=1e-9)
    zones, later = (pd.Series(random.zipf(1.5, rows).clip(0, 300).astype(str)) for rows in (10_000, 2_000))
    assert scorer_of(CATEGORY, zones).score(later) == pytest.approx(drift_score(CATEGORY, zones, later), rel=1e-9)


def test_a_constant_column_scores_nothing_against_itself_and_the_share_of_other_values_else() -> None:
    constant = pd.Series(np.full(100, 7.0))
    scorer = scorer_of(NUMBER, constant)
    assert scorer.score(constant[:30]) == 0.0
    scores = [scorer.score(pd.Series([7.0] * (30 - odd) + [7.01] * odd)) for odd in (1, 3, 30)]
    assert scores == pytest.approx([1 / 3, 1.0, 10.0])


def test_categories_that_have_nothing_in_common_are_as_far_as_can_be() -> None:
    apart = scorer_of(CATEGORY, pd.Series(["a", "b"])).score(pd.Series(["c"]))
    assert apart == pytest.approx(np.sqrt(np.log(2)))


def test_a_method_from_the_schema_is_evidentlys_own() -> None:
    random = np.random.default_rng(2)
    column = NUMBER.model_copy(update={"drift_method": "ks"})
    known, now = pd.Series(random.normal(size=500)), pd.Series(random.normal(0.1, size=100))
    assert scorer_of(column, known).score(now) == drift_score(column, known, now)
