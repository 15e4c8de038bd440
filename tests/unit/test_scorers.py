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
