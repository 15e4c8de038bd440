"""Thresholds in the order of time: the formula, and how a bundle keeps what it needs."""

import numpy as np
import orjson
import pytest
from scipy import stats

from sextant.evaluation.in_time.null import MOST_SKEWED, RECIPE, Key, Null, Nulls, little_known, quantile
from sextant.evaluation.in_time.order import in_words, order_of

RATE = 0.01
OF_FIVE = 1.0 - (1.0 - RATE) ** (1 / 5)
NULL = Null((100.0, 1_000.0), (0.3, 0.1), (0.06, 0.03), (0.0, 0.0), (21.0, 21.0))
DISTANCE: Key = ("drift", "distance", "")


def nulls(days: int, *keys: Key) -> Nulls:
    return Nulls(days, 50_000, dict.fromkeys(keys or (DISTANCE,), NULL))


@pytest.mark.parametrize(("days", "factor"), [(7, 1.68), (14, 1.25), (28, 1.11)])
def test_the_fewer_days_are_known_the_farther_a_threshold_lies(days: int, factor: float) -> None:
    assert little_known(days, OF_FIVE) == pytest.approx(factor, abs=0.006)


def test_of_many_days_moments_are_as_good_as_known() -> None:
    assert little_known(1e6, OF_FIVE) == pytest.approx(1.0, abs=1e-4)


def test_a_threshold_is_the_mean_and_so_many_deviations_times_what_little_is_known() -> None:
    expected = 0.1 + 0.03 * stats.norm.isf(OF_FIVE) * little_known(21.0, OF_FIVE)
    assert NULL.threshold(1_000, OF_FIVE) == pytest.approx(expected)


@pytest.mark.parametrize("skewness", [0.01, 0.5, 1.5, 3.0])
def test_the_quantile_is_that_of_a_pearson_iii_distribution(skewness: float) -> None:
    assert quantile(skewness, 0.002) == pytest.approx(stats.pearson3.isf(0.002, skewness), rel=1e-6)


def test_skewness_is_bounded_on_both_sides() -> None:
    assert quantile(-2.0, RATE) == quantile(0.0, RATE) == pytest.approx(stats.norm.isf(RATE))
    assert quantile(9.0, RATE) == quantile(MOST_SKEWED, RATE)


def test_between_two_sizes_moments_are_interpolated_over_the_logarithm() -> None:
    between = NULL.threshold(10**2.5, RATE)
    assert between == pytest.approx((NULL.threshold(100, RATE) + NULL.threshold(1_000, RATE)) / 2)


def test_beyond_the_largest_size_a_threshold_does_not_shrink() -> None:
    assert NULL.threshold(1_000_000, RATE) == NULL.threshold(1_000, RATE)


def test_below_the_smallest_size_it_grows_as_sampling_noise_does() -> None:
    assert NULL.threshold(25, RATE) == pytest.approx(2.0 * NULL.threshold(100, RATE))


@pytest.mark.parametrize(
    ("days", "order", "words"),
    [
        (1, "too short", "scores only: the reference spans 1 day, 3 are needed"),
        (2, "too short", "scores only: the reference spans 2 days, 3 are needed"),
        (3, "provisional", "provisional: the reference spans 3 days, 7 are needed to rely on the stated rate"),
        (6, "provisional", "provisional: the reference spans 6 days, 7 are needed to rely on the stated rate"),
        (7, "time", "hold for consecutive rows: the reference spans 7 days"),
        (3_650, "time", "hold for consecutive rows: the reference spans 3,650 days"),
    ],
)
def test_the_days_of_the_reference_say_what_its_thresholds_are_worth(days: int, order: str, words: str) -> None:
    found = order_of(nulls(days))
    assert found == order
    assert in_words(found, days) == words


def test_without_event_times_thresholds_hold_for_shuffled_rows() -> None:
    assert in_words(order_of(None), 0) == "valid for randomly ordered rows only"


def test_under_three_days_there_are_no_thresholds() -> None:
    assert nulls(2).threshold(DISTANCE, 500, RATE) is None
    assert nulls(3).threshold(DISTANCE, 500, RATE) is not None
    assert nulls(30).threshold(("drift", "fare", ""), 500, RATE) is None


def test_columns_and_columns_of_segments_are_families_of_their_own() -> None:
    known = nulls(9, DISTANCE, ("drift", "fare", ""), ("drift", "fare", "zone=1"), ("fairness_gap", "", "zone=1"))
    assert known.family("drift") == 2
    assert known.family("drift", of_segments=True) == 1
    assert known.family("concept_drift") == 1


def test_what_a_bundle_keeps_comes_back_as_it_was() -> None:
    known = nulls(21, DISTANCE, ("drift", "fare", "zone=1"))
    assert Nulls.from_json(known.to_json()) == known


def test_scores_by_another_recipe_are_not_used() -> None:
    other = orjson.loads(nulls(21).to_json()) | {"recipe": RECIPE + 1}
    assert Nulls.from_json(orjson.dumps(other)) is None
    assert Nulls.from_json(None) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", orjson.dumps({"recipe": RECIPE}), orjson.dumps({"recipe": RECIPE, "tests": [{}]})]
)
def test_a_file_that_cannot_be_read_is_an_error_and_no_crash(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Nulls.from_json(text)


def test_thresholds_are_numbers_for_any_size() -> None:
    found = [NULL.threshold(rows, RATE) for rows in (1, 30, 999, 10**9)]
    assert np.isfinite(found).all()
    assert found == sorted(found, reverse=True)
