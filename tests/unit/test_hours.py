"""The hours of a window, and the reference rows of these hours: the definitions, with numbers by hand."""

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.event_times import event_times
from sextant.evaluation.in_time.hours import BINS, EVENT_HOUR, KERNEL, NO_TIME, Bins, Hours, hour_bins, in_words
from sextant.evaluation.in_time.matching import Matching, WindowHours, weighted_mean

NOON, THREE, SATURDAY_NOON = 12, 3, 24 + 12


def bins(*pairs: tuple[int, int]) -> Bins:
    """So many rows of each bin."""
    return np.repeat([number for number, _ in pairs], [rows for _, rows in pairs]).astype(np.int16)


def bins_of(*texts: object) -> list[int]:
    return hour_bins(event_times(pd.Series(texts, dtype=object))).tolist()


def test_a_time_is_an_hour_of_a_working_day_or_of_a_weekend() -> None:
    friday, saturday, sunday, monday = "2021-01-01", "2021-01-02", "2021-01-03", "2021-01-04"
    assert bins_of(f"{friday}T23:59:59", f"{saturday} 00:00", f"{sunday}T12:30", monday) == [23, 24, 36, 0]


def test_what_the_clock_on_the_wall_showed_counts_whatever_the_zone() -> None:
    assert bins_of("2021-01-04T08:00:00", "2021-01-04T08:00:00Z", "2021-01-04T08:00:00+11:00") == [8, 8, 8]


def test_both_hours_that_a_change_of_clocks_repeats_are_the_same_hour_and_the_one_it_skips_can_be_read() -> None:
    in_autumn, skipped = ("2021-10-31T02:30:00+02:00", "2021-10-31T02:30:00+01:00"), "2021-03-28T02:30:00"
    assert bins_of(*in_autumn, skipped) == [26, 26, 26]


@pytest.mark.parametrize(
    "text", ["", "soon", None, float("nan"), "2021-13-01", "2021-01-04T25:00:00", "12:30", True]
)
def test_what_is_no_time_has_no_hour(text: object) -> None:
    assert bins_of("2021-01-04T08:00:00", text) == [8, NO_TIME]


def test_the_weights_of_the_reference_sum_to_the_rows_of_the_window() -> None:
    random = np.random.default_rng(0)
    reference = Hours.of(random.integers(0, BINS, 3_000).astype(np.int16))
    for window in (
        bins((NOON, 50)),
        bins((THREE, 7), (NO_TIME, 3)),
        random.integers(-1, BINS, 400).astype(np.int16),
    ):
        weights = reference.weights(window)
        assert weights.sum() == pytest.approx(len(window))
        assert weights.min() >= 0.0


def test_reference_rows_weigh_by_a_gaussian_of_an_hour_and_a_half_and_other_kinds_of_day_nothing() -> None:
    reference = Hours.of(bins((11, 100), (NOON, 100), (13, 100), (SATURDAY_NOON, 100)))
    by_bin = reference.weights(bins((NOON, 10)))[::100]
    assert by_bin[1] / by_bin[0] == pytest.approx(np.exp(0.5 / 1.5**2))
    assert by_bin[0] == pytest.approx(by_bin[2])
    assert by_bin[3] == 0.0


def test_midnight_lies_between_eleven_at_night_and_one_in_the_morning() -> None:
    assert KERNEL[0, 23] == KERNEL[0, 1] == pytest.approx(np.exp(-0.5 / 1.5**2))


def test_an_hour_with_fewer_than_twenty_rows_near_it_is_not_supported() -> None:
    reference = Hours.of(bins((NOON, 20), (SATURDAY_NOON, 19), (THREE, 3_000)))
    window = np.array([NOON, 13, THREE, SATURDAY_NOON, NO_TIME], dtype=np.int16)
    assert reference.supported(window).tolist() == [True, False, True, False, True]


def test_of_a_small_reference_a_hundredth_of_its_rows_is_enough() -> None:
    reference = Hours.of(bins((NOON, 5), (THREE, 295)))
    window = np.array([NOON, SATURDAY_NOON], dtype=np.int16)
    assert reference.supported(window).tolist() == [True, False]


def test_rows_without_a_time_or_of_unsupported_hours_call_for_all_rows_alike() -> None:
    reference = Hours.of(bins((NOON, 100), (THREE, 300)))
    for number in (NO_TIME, SATURDAY_NOON):
        np.testing.assert_allclose(reference.weights(bins((number, 40))), 0.1)


def test_hours_are_told_in_words() -> None:
    assert in_words([]) == ""
    assert in_words([NO_TIME]) == ""
    assert in_words([22, 23, 0]) == "on working days from 00:00 to 00:59, on working days from 22:00 to 23:59"
    assert in_words([26, 28, 27, 8]) == "on working days from 08:00 to 08:59, on weekends from 02:00 to 04:59"


def test_a_window_says_which_rows_have_no_time_and_which_hours_the_reference_lacks() -> None:
    window = pd.DataFrame({EVENT_HOUR: bins((NOON, 5), (26, 3), (NO_TIME, 2))})
    found = WindowHours.of(Hours.of(bins((NOON, 100))), window)
    assert (found.unsupported_rows, found.without_time) == (3, 2)
    assert found.unsupported == "on weekends from 02:00 to 02:59"
    assert WindowHours.of(None, window).supported.all()


def test_a_mean_is_that_of_the_reference_rows_of_the_same_hours() -> None:
    hours = Hours.of(bins((NOON, 100), (SATURDAY_NOON, 100)))
    index = pd.RangeIndex(200)
    values = pd.Series(np.repeat([1.0, 5.0], 100), index=index)
    window = pd.Series(bins((NOON, 30), (SATURDAY_NOON, 10)))
    matching = Matching(hours, index, window)
    assert matching.mean(values, window.index) == pytest.approx((30 * 1.0 + 10 * 5.0) / 40)
    assert matching.mean(values, window.index[:30]) == pytest.approx(1.0)
    assert matching.mean(values.iloc[150:], window.index) == pytest.approx(5.0)


def test_a_block_is_never_compared_with_its_own_rows() -> None:
    hours, index = Hours.of(bins((NOON, 100))), pd.RangeIndex(100)
    values = pd.Series(np.where(index < 40, 9.0, 1.0), index=index)
    window = pd.Series(bins((NOON, 30)))
    assert Matching(hours, index, window, np.arange(40)).mean(values, window.index) == pytest.approx(1.0)
    assert np.isnan(weighted_mean(values, index, np.zeros(100)))
