"""Rows in time order, and one clear line for each thing that is wrong with their times."""

from typing import Any

import pandas as pd
import pytest

from sextant.training.alarm_rate import alarm_rate
from sextant.training.days import TimedRows, Untimed, in_time_order
from sextant.use_cases.use_case import Examples

HOURS = [time.isoformat() for time in pd.date_range("2021-01-01", periods=96, freq="h")]


def timed(times: list[Any]) -> TimedRows:
    target = pd.Series(range(len(times)), dtype="float64")
    features = pd.DataFrame({"miles": target})
    return in_time_order(Examples(features, target, pd.DataFrame({"at": pd.Series(times, dtype=object)})), "at")


def test_rows_are_sorted_by_time_and_rows_of_one_moment_stay_in_their_order() -> None:
    found = timed([HOURS[2], HOURS[0], HOURS[1], HOURS[0], *HOURS[24:48]])
    assert found.rows.target.tolist()[:4] == [1, 3, 2, 0]
    assert [str(day) for day in found.distinct_days] == ["2021-01-01", "2021-01-02"]
    assert found.notes == ()


def test_a_day_is_the_local_one_that_is_written() -> None:
    found = timed([f"2021-01-0{day}T{hour}:30:00-05:00" for day in (1, 2) for hour in ("00", "23")])
    assert [str(day) for day in found.days] == ["2021-01-01", "2021-01-01", "2021-01-02", "2021-01-02"]


def test_rows_without_a_readable_time_are_left_out_and_counted() -> None:
    found = timed([*HOURS, None, "soon"])
    assert len(found) == 96
    assert found.notes == ("2 of 98 rows have no readable time in at and are left out",)


@pytest.mark.parametrize(
    ("offset", "others", "note"),
    [
        ("Z", "", "1 times in at state an offset from UTC, unlike the others; their rows are left out"),
        ("", "+01:00", "1 times in at state no offset from UTC, unlike the others; their rows are left out"),
    ],
)
def test_a_time_with_an_offset_among_others_without_is_left_out_or_the_reverse(
    offset: str, others: str, note: str
) -> None:
    found = timed([HOURS[0] + offset, *(time + others for time in HOURS[1:])])
    assert (len(found), found.notes) == (95, (note,))


def test_two_zones_are_named_and_the_clock_on_the_wall_counts() -> None:
    found = timed([time + ("+01:00" if number % 2 else "+02:00") for number, time in enumerate(HOURS)])
    assert len(found) == 96
    assert found.notes == ("the times in at state 2 offsets from UTC; the clock time as written counts",)


def test_days_with_hardly_any_row_are_a_wrong_clock() -> None:
    found = timed(["2009-01-01T00:00:00", *HOURS * 10, "2031-01-01T00:00:00"])
    assert len(found) == 960
    assert found.notes == ("2 rows on days with hardly any other (2009-01-01, 2031-01-01) are left out",)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["soon"] * 50 + HOURS, "only 96 of 146 rows have a usable time in at"),
        ([HOURS[0]] * 50, "all times in at are within one minute"),
        ([HOURS[0], HOURS[0] + "Z"] * 50, "only 50 of 100 rows have a usable time in at"),
    ],
)
def test_times_that_cannot_order_the_rows_are_refused_in_one_sentence(times: list[str], message: str) -> None:
    with pytest.raises(Untimed, match=message):
        timed(times)


def test_a_missing_time_column_is_named() -> None:
    rows = Examples(pd.DataFrame({"miles": [1.0]}), pd.Series([1.0]), pd.DataFrame(index=[0]))
    with pytest.raises(Untimed, match="no column at"):
        in_time_order(rows, "at")


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (None, "randomly ordered rows only"),
        (2, "scores only"),
        (3, "provisional"),
        (7, "up to 6 %"),
        (13, "up to 6 %"),
        (14, "at the rate that is set"),
    ],
)
def test_the_rate_that_can_be_stated_depends_on_the_days(days: int | None, words: str) -> None:
    assert words in alarm_rate(days)
