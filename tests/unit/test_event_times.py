"""The wall-clock time of an event, from whatever its time column holds."""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest

from sextant.contracts.event_times import event_times, utc_offsets


@pytest.mark.parametrize(
    "written",
    [
        "2021-01-05T10:30:00",
        "2021-01-05 10:30",
        "2021-01-05T10:30:00.000",
        "2021-01-05T10:30:00Z",
        "2021-01-05T10:30:00+05:30",
        "2021-01-05T10:30:00-0500",
        " 2021-01-05 10:30:00 +01:00 ",
        datetime(2021, 1, 5, 10, 30, tzinfo=UTC),
        datetime(2021, 1, 5, 10, 30, tzinfo=timezone(timedelta(hours=-5))),
        pd.Timestamp("2021-01-05 10:30"),
    ],
)
def test_the_time_is_what_a_clock_on_the_wall_showed_whatever_the_offset(written: Any) -> None:
    assert event_times(pd.Series([written], dtype=object)).tolist() == [pd.Timestamp("2021-01-05 10:30")]


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        "",
        "late",
        "10:30",
        "20210105",
        20210105,
        "2021-13-01",
        "99999-01-01",
        "0001-01-01",
        "\uff12021-01-05",
        {"a": 1},
    ],
)
def test_what_is_no_time_is_missing_and_the_others_stay(value: Any) -> None:
    times = event_times(pd.Series([value, "2021-01-05"], dtype=object))
    assert times.isna().tolist() == [True, False]


def test_a_text_made_to_be_slow_is_read_as_fast_as_any_other() -> None:
    hostile = ["2021-01-05" + " " * 60_000 + "x", " " * 60_000, "2021-01-05T10:30:00." + "1" * 60_000]
    began = time.process_time()
    assert event_times(pd.Series(hostile * 20)).isna().all()
    assert time.process_time() - began < 5


def test_offsets_are_told_apart_from_their_absence() -> None:
    texts = pd.Series(["2021-01-05T10:30:00Z", "2021-01-05T10:30:00+01:00", "2021-01-05T10:30:00", None])
    assert utc_offsets(texts).tolist() == ["Z", "+01:00", "", ""]


def test_an_empty_column_has_no_times() -> None:
    assert event_times(pd.Series([], dtype=object)).empty
