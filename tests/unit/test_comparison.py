"""A comparison finds a difference that is there, and says how small a one it could have found."""

import numpy as np
import pytest
from scipy import optimize, stats

from batch_flows.compare_models.comparison import MIN_ROWS, Comparison, Errors, compare
from sextant.contracts.schema import Task
from tests.comparisons import DESIGNS, Draw, classes, numbers


def once(draw: Draw, task: Task, *, paired: bool = True, seed: int = 5) -> Comparison:
    random = np.random.default_rng(seed)
    errors_a, errors_b = draw(random)
    return compare(errors_a, errors_b, task=task, paired=paired, random=random)


def test_pairs_show_what_separate_rows_do_not() -> None:
    rough, gain = np.random.default_rng(1).exponential(5.0, 300), np.random.default_rng(2).normal(0.3, 0.3, 300)
    together, apart = (
        compare(rough, rough - gain, task="regression", paired=paired, random=np.random.default_rng(3))
        for paired in (True, False)
    )
    assert (together.verdict, apart.verdict) == ("b", "none")
    assert together.difference == apart.difference
    assert together.detectable < apart.detectable / 5


def test_the_sides_change_places_with_their_rows() -> None:
    better = once(numbers(-0.5, rows=1_000), "regression")
    assert better.verdict == "b"
    assert better.difference < 0
    assert better.effects["relative"] < 0
    assert better.effects["cohens_d"] < 0
    assert once(numbers(+0.5, rows=1_000), "regression").verdict == "a"
    assert once(classes(0.2, 0.05), "classification").verdict == "b"
    assert once(classes(0.05, 0.2), "classification").verdict == "a"
    assert once(classes(0.2, 0.05), "classification").effects["odds_ratio"] < 1


def test_the_same_rows_and_seed_give_the_same_comparison() -> None:
    assert once(numbers(0.1), "regression") == once(numbers(0.1), "regression")


@pytest.mark.parametrize(("task", "paired"), DESIGNS)
def test_two_models_that_answer_alike_show_no_difference(task: Task, paired: bool) -> None:
    errors = (np.arange(200) % 2).astype(float)
    found = compare(errors, errors.copy(), task=task, paired=paired, random=np.random.default_rng(1))
    assert found.verdict == "none"
    assert found.difference == 0
    assert all(np.isfinite(value) for value in found.effects.values())


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize(("level_a", "level_b", "verdict"), [(0.0, 0.0, "none"), (1.0, 0.0, "b"), (0.0, 1.0, "a")])
def test_errors_that_are_all_equal_have_a_verdict(
    task: Task, paired: bool, level_a: float, level_b: float, verdict: str
) -> None:
    sides = np.full(60, level_a), np.full(60, level_b)
    found = compare(*sides, task=task, paired=paired, random=np.random.default_rng(1))
    assert found.verdict == verdict
    assert -1 <= found.interval.low <= found.difference <= found.interval.high <= 1


def discordant(only_a: int, only_b: int, rows: int) -> tuple[Errors, Errors]:
    wrong_a, wrong_b = np.zeros(rows), np.zeros(rows)
    wrong_a[:only_a] = wrong_b[only_a : only_a + only_b] = 1.0
    return wrong_a, wrong_b


def of_classes(only_a: int, only_b: int, rows: int = 100) -> Comparison:
    random = np.random.default_rng(1)
    return compare(*discordant(only_a, only_b, rows), task="classification", paired=True, random=random)


def test_few_discordant_pairs_are_judged_exactly_and_the_interval_does_not_contradict() -> None:
    few = of_classes(5, 0)
    assert few.method == "exact McNemar test"
    assert few.p_value == pytest.approx(2 * 0.5**5)
    assert few.verdict == "none"
    assert few.interval.high == 0.0  # the score interval alone would leave zero out: chi square is 5
    assert of_classes(6, 0).verdict == "b"


def test_many_discordant_pairs_are_judged_with_half_of_the_observed_case() -> None:
    many = of_classes(30, 14)
    assert many.method == "mid-p McNemar test"
    assert many.p_value == pytest.approx(2 * stats.binom.cdf(14, 44, 0.5) - stats.binom.pmf(14, 44, 0.5))


@pytest.mark.parametrize(("only_a", "only_b"), [(12, 2), (40, 33), (0, 9), (90, 5)])
def test_the_interval_of_paired_shares_ends_where_the_score_test_turns(only_a: int, only_b: int) -> None:
    rows = 100
    interval = of_classes(only_a, only_b).interval
    for bound in (interval.low, interval.high):
        if bound == 0.0:
            continue  # widened to zero by the exact test

        def unlikely(share: float, bound: float = bound) -> float:
            shares = np.array([share, share + bound, 1 - 2 * share - bound])
            counts = np.array([only_a, only_b, rows - only_a - only_b])
            return -float((counts * np.log(np.clip(shares, 1e-300, None))).sum())

        limits = (max(0.0, -bound) + 1e-12, (1 - bound) / 2 - 1e-12)
        share = float(
            optimize.minimize_scalar(unlikely, bounds=limits, method="bounded", options={"xatol": 1e-11}).x
        )
        score = (only_b - only_a - rows * bound) / np.sqrt(rows * (2 * share + bound * (1 - bound)))
        assert abs(score) == pytest.approx(1.95996, abs=2e-3)


def test_too_few_rows_and_halves_of_pairs_are_refused() -> None:
    random = np.random.default_rng(1)
    enough, few = np.ones(MIN_ROWS), np.ones(MIN_ROWS - 1)
    with pytest.raises(ValueError, match=f"at least {MIN_ROWS} of each are needed"):
        compare(enough, few, task="regression", paired=False, random=random)
    with pytest.raises(ValueError, match="pairs have two sides"):
        compare(enough, np.ones(MIN_ROWS + 1), task="regression", paired=True, random=random)


def test_many_rows_are_resampled_in_bounded_memory() -> None:
    import tracemalloc

    errors = np.random.default_rng(1).exponential(1.0, 20_000)
    tracemalloc.start()
    compare(errors, errors[::-1].copy(), task="regression", paired=True, random=np.random.default_rng(2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # all resamples at once would be 640 MB
