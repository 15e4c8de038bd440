"""How often a comparison is wrong: 300 windows for each design."""

from functools import cache

import numpy as np
import pytest

from batch_flows.compare_models import comparison
from batch_flows.compare_models.comparison import Comparison, compare
from sextant.contracts.schema import Task
from tests.comparisons import DESIGNS, Draw, classes, numbers

RUNS = 300
FEWEST, MOST = 273, 297  # where 285 are expected: three standard deviations of 3.8, and a little


@pytest.fixture(autouse=True)
def half_of_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred comparisons say as much of a bootstrap of 1,000."""
    monkeypatch.setattr(comparison, "RESAMPLES", 1_000)


def runs(draw: Draw, task: Task, *, paired: bool) -> list[Comparison]:
    random = np.random.default_rng(20_210_101)
    found = []
    for _ in range(RUNS):
        errors_a, errors_b = draw(random)
        if not paired:
            errors_b = draw(random)[1]
        found.append(compare(errors_a, errors_b, task=task, paired=paired, random=random))
    return found


@cache
def runs_without_a_difference(task: Task, *, paired: bool) -> list[Comparison]:
    return runs(numbers(0.0) if task == "regression" else classes(0.1, 0.1), task, paired=paired)


@pytest.mark.parametrize(("task", "paired"), DESIGNS)
def test_without_a_difference_the_verdict_is_none_in_about_95_of_100_windows(task: Task, paired: bool) -> None:
    verdicts = [run.verdict for run in runs_without_a_difference(task, paired=paired)]
    assert FEWEST <= verdicts.count("none") <= MOST
    assert min(verdicts.count("a"), verdicts.count("b")) >= 1  # wrong on both sides, when wrong


@pytest.mark.parametrize(("task", "paired"), DESIGNS)
def test_the_interval_holds_the_true_difference_in_about_95_of_100_windows(task: Task, paired: bool) -> None:
    draw, truth = (numbers(-0.3), -0.3) if task == "regression" else (classes(0.15, 0.05), -0.1)
    held = [run.interval.low <= truth <= run.interval.high for run in runs(draw, task, paired=paired)]
    assert FEWEST <= sum(held) <= MOST


@pytest.mark.parametrize(("task", "paired"), DESIGNS)
def test_the_smallest_difference_said_to_be_shown_is_shown_four_times_in_five(task: Task, paired: bool) -> None:
    smallest = float(np.mean([run.detectable for run in runs_without_a_difference(task, paired=paired)]))
    there = numbers(smallest) if task == "regression" else classes(0.1 - smallest / 2, 0.1 + smallest / 2)
    verdicts = [run.verdict for run in runs(there, task, paired=paired)]
    assert 0.7 * RUNS <= verdicts.count("a") <= 0.9 * RUNS
    assert verdicts.count("b") == 0
