"""The page of a comparison."""

from dataclasses import replace

import numpy as np

from batch_flows.compare_models.choice import Choice
from batch_flows.compare_models.page import histogram, interval_line, render, right_or_wrong
from tests.compared_versions import (
    START,
    classification,
    manifest,
    regression,
)


def test_the_page_of_a_regression_shows_verdict_interval_measures_and_errors() -> None:
    page = render(regression(0.5), START)
    assert '<p class="verdict">v2 is better than v1</p>' in page
    assert page.count("<polyline") == 2
    assert 'class="span"' in page
    assert "rmse" in page
    assert "That is not proof" not in page


def test_a_page_without_a_verdict_says_what_could_have_been_shown() -> None:
    page = render(classification(5, 5), START)
    assert "That is not proof that there is none" in page
    assert "four times in five" in page
    assert "Who was right" in page
    assert "<strong>5</strong>" in page


def test_what_a_manifest_or_record_says_cannot_become_markup() -> None:
    summary = regression(0.5)
    odd = replace(summary, choice=Choice(manifest(target="<script>alert(1)</script>"), manifest("v2")))
    assert "<script>" not in render(odd, START)


def test_the_interval_is_drawn_about_zero_and_inside_the_line() -> None:
    line = interval_line(-0.4, 0.1, -0.2)
    assert 0 < line.low < line.difference < 300 < line.high < 600
    assert interval_line(0.0, 0.0, 0.0).low == 300


def test_the_histogram_counts_what_it_does_not_draw_and_stands_errors_that_are_all_zero() -> None:
    errors = np.concatenate([np.linspace(0, 1, 990), np.full(10, 100.0)])
    assert 10 <= histogram(errors, np.zeros(10)).beyond <= 12  # one in a hundred
    assert histogram(np.zeros(60), np.zeros(60)).beyond == 0


def test_pairs_are_counted_by_who_was_right() -> None:
    cells = right_or_wrong(np.array([0.0, 0, 1, 1, 1]), np.array([0.0, 1, 0, 0, 1]))
    assert (cells.both, cells.only_a, cells.only_b, cells.neither) == (1, 1, 2, 1)
