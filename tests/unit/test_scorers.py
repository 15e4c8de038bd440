import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.scorers import scorer_of

NUMBER = Feature(name="x", kind="numerical")
CATEGORY = Feature(name="c", kind="categorical")


def test_a_constant_column_scores_nothing_against_itself_and_the_share_of_other_values_else() -> None:
    constant = pd.Series(np.full(100, 7.0))
    scorer = scorer_of(NUMBER, constant)
    assert scorer.score(constant[:30]) == 0.0
    scores = [scorer.score(pd.Series([7.0] * (30 - odd) + [7.01] * odd)) for odd in (1, 3, 30)]
    assert scores == pytest.approx([1 / 3, 1.0, 10.0])


def test_categories_that_have_nothing_in_common_are_as_far_as_can_be() -> None:
    apart = scorer_of(CATEGORY, pd.Series(["a", "b"])).score(pd.Series(["c"]))
    assert apart == pytest.approx(np.sqrt(np.log(2)))


@pytest.mark.parametrize("size", [1e154, 1e307])
def test_values_whose_squares_are_beyond_all_numbers_score_as_their_like_do(size: float) -> None:
    values = pd.Series(np.linspace(-1.0, 1.0, 200))
    expected = scorer_of(NUMBER, values).score(2 * values[:90])
    assert scorer_of(NUMBER, size * values).score(2 * size * values[:90]) == pytest.approx(expected)
    assert expected > 0.5
