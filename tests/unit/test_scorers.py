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


def test_how_much_a_column_moved_is_said_in_its_own_unit() -> None:
    miles = Feature(name="miles", kind="numerical")
    scorer = scorer_of(miles, pd.Series(np.linspace(1.0, 5.0, 1_001)))
    longer = pd.Series(np.linspace(1.0, 5.0, 101) + 0.5)
    effect = scorer.effect(longer, scorer.score(longer))
    assert effect.before == pytest.approx(3.0)
    assert effect.now == pytest.approx(3.5, abs=0.05)  # cut to the reference's central 99 %
    assert effect.size == pytest.approx(0.5, abs=0.05)


def test_of_categories_the_one_whose_share_changed_most_is_named() -> None:
    zone = Feature(name="zone", kind="categorical")
    scorer = scorer_of(zone, pd.Series(["a"] * 50 + ["b"] * 30 + ["c"] * 20))
    current = pd.Series(["a"] * 45 + ["b"] * 10 + ["new"] * 45)
    effect = scorer.effect(current, scorer.score(current))
    assert (effect.category, effect.before, effect.now) == ("new", 0.0, 0.45)


def test_weights_count_as_repeated_rows_do() -> None:
    values = pd.Series([1.0, 2.0, 4.0, 8.0] * 20)
    weights = np.tile([1.0, 3.0, 0.0, 2.0], 20)
    current = pd.Series(np.linspace(0.0, 9.0, 50))
    for column, reference, now in [
        (Feature(name="n", kind="numerical"), values, current),
        (Feature(name="c", kind="categorical"), values.astype(str), current.round().astype(str)),
        (Feature(name="k", kind="numerical", drift_method="psi"), values, current),
    ]:
        weighted = scorer_of(column, reference).weighted(weights)
        repeated = scorer_of(column, reference.repeat(weights.astype(int)))
        if column.drift_method is None and column.kind == "numerical":
            # One clip and one deviation for all weights, so that scores can be compared: the whole reference's.
            assert weighted.effect(now, 0.0).before == pytest.approx(repeated.effect(now, 0.0).before, rel=0.01)
        else:
            assert weighted.score(now) == pytest.approx(repeated.score(now), rel=0.1)
