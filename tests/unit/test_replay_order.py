"""The order, the moments and the event times of a replay."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from sextant.traffic.order import AT_RANDOM, BY_TIME, NoTimes, Pace, as_of, ordered, shuffled, times_of
from sextant.use_cases.use_case import Examples

NOON = "2021-01-02T12:00:00"  # a Saturday
TEN_DAYS_LATER = datetime(2021, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def examples(*times: str | None) -> Examples:
    numbers = pd.Series(range(len(times)), dtype="float64")
    return Examples(
        pd.DataFrame({"miles": numbers}), numbers, pd.DataFrame({"at": pd.Series(times, dtype=object)})
    )


def order_of(*times: str | None, count: int | None = None) -> list[int]:
    return ordered(times_of(examples(*times), "at"), count or len(times), BY_TIME, rng()).tolist()


def at(hour: int) -> str:
    return f"2021-01-02T{hour:02}:00:00"


def test_rows_go_in_the_order_of_their_times() -> None:
    assert order_of(at(3), at(1), at(2), at(1)) == [1, 3, 2, 0]


def test_rows_without_a_time_keep_their_place_behind_the_row_before_them() -> None:
    assert order_of(at(3), "soon", at(1), None) == [2, 3, 0, 1]
    assert order_of(None, at(3), at(1)) == [2, 0, 1]
    assert order_of(None, "soon", None) == [0, 1, 2]
    assert ordered(times_of(examples(at(3), at(1)), None), 2, BY_TIME, rng()).tolist() == [0, 1]


def test_a_smaller_number_is_the_first_rows_and_a_larger_one_begins_anew() -> None:
    assert order_of(at(3), at(1), at(2), count=2) == [1, 2]
    assert order_of(at(3), at(1), at(2), count=5) == [1, 2, 0, 1, 2]


def test_in_random_order_every_row_comes_once_before_any_comes_again() -> None:
    order = shuffled(10, 25, rng())
    assert len(order) == 25
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10].tolist() != list(range(10))
    assert ordered(times_of(examples(*[at(1)] * 10), "at"), 25, AT_RANDOM, rng()).tolist() == order.tolist()


def test_without_a_pace_everything_is_due_at_once_and_a_rate_spaces_evenly() -> None:
    times = times_of(examples(at(1), at(2), at(3)), "at")
    assert Pace().moments(times).tolist() == [0, 0, 0]
    assert Pace(rate=10).moments(times) == pytest.approx([0, 0.1, 0.2])


def test_a_speed_keeps_the_real_gaps_and_shortens_long_ones_to_a_day() -> None:
    rows = examples(at(1), None, at(2), "2021-01-12T02:00:00", at(1))
    assert Pace(speed=600).moments(times_of(rows, "at")) == pytest.approx([0, 0, 6, 150, 150])


def test_a_speed_needs_times() -> None:
    with pytest.raises(NoTimes, match="--speed needs rows with event times"):
        Pace(speed=600).moments(times_of(examples(None), "at"))


def test_as_of_now_moves_times_by_whole_weeks_so_that_the_last_row_sent_is_in_the_past_week() -> None:
    moved = as_of(examples(NOON, at(13), "2021-01-12T02:00:00", "soon"), "at", np.array([0, 1]), NOW)
    assert moved.context["at"].tolist() == [
        "2026-11-14T12:00:00", "2026-11-14T13:00:00", "2026-11-24T02:00:00", "soon"
    ]  # fmt: skip
    assert pd.Timestamp("2026-11-14").day_name() == "Saturday"


def test_moved_times_keep_their_offset_from_utc_and_their_fractions() -> None:
    rows = examples("2021-01-02T12:00:00.250-05:00", "2021-01-02T12:00:00Z")
    moved = as_of(rows, "at", np.array([0, 1]), TEN_DAYS_LATER)
    assert moved.context["at"].tolist() == ["2021-01-09T12:00:00.250000-05:00", "2021-01-09T12:00:00Z"]


def test_a_time_among_the_features_is_moved_there() -> None:
    rows = examples(NOON)
    rows = Examples(rows.context, rows.target, rows.features)
    assert as_of(rows, "at", np.array([0]), TEN_DAYS_LATER).features["at"].tolist() == ["2021-01-09T12:00:00"]
