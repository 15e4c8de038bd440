"""A report's window is one that was meant: it has a zone, a length and an order."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from batch_flows.time_range import TimeRange, choose_time_range
from sextant.contracts.errors import Rejected

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_without_a_start_the_window_is_the_last_hours_before_now() -> None:
    assert choose_time_range(hours=24, start=None, end=None, now=NOW) == TimeRange(NOW - timedelta(days=1), NOW)


def test_hours_count_back_from_an_end_that_was_given() -> None:
    window = choose_time_range(hours=2, start=None, end="2026-02-01T10:00:00Z", now=NOW)
    assert window.start == datetime(2026, 2, 1, 8, tzinfo=UTC)


def test_a_start_replaces_the_hours() -> None:
    window = choose_time_range(hours=2, start="2026-02-01T10:00:00Z", end=None, now=NOW)
    assert window == TimeRange(datetime(2026, 2, 1, 10, tzinfo=UTC), NOW)


def test_other_zones_are_turned_into_utc() -> None:
    start = datetime(2026, 2, 1, 10, tzinfo=timezone(timedelta(hours=2)))
    assert choose_time_range(hours=1, start=start, end=None, now=NOW).start == datetime(2026, 2, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("start", [NOW, NOW + timedelta(seconds=1)])
def test_a_window_that_ends_before_it_starts_is_rejected(start: datetime) -> None:
    with pytest.raises(Rejected, match="the window must end after it starts"):
        choose_time_range(hours=1, start=start, end=NOW, now=NOW)


@pytest.mark.parametrize("moment", ["2026-02-01T10:00:00", datetime(2026, 2, 1)])  # noqa: DTZ001 - the point
def test_a_time_without_a_zone_is_rejected_by_name(moment: object) -> None:
    with pytest.raises(Rejected, match="end has no time zone"):
        choose_time_range(hours=1, start=None, end=moment, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_time_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(Rejected, match=r"start is not an ISO 8601 time.*2026-01-31T08:00:00"):
        choose_time_range(hours=1, start=text, end=None, now=NOW)


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), 1e12])
def test_hours_that_make_no_window_are_rejected(hours: float) -> None:
    with pytest.raises(Rejected, match="hours must"):
        choose_time_range(hours=hours, start=None, end=None, now=NOW)


def test_hours_that_lead_before_the_calendar_are_rejected() -> None:
    with pytest.raises(Rejected, match="calendar"):
        choose_time_range(hours=48, start=None, end="0001-01-01T12:00:00Z", now=NOW)
    with pytest.raises(Rejected, match="calendar"):
        choose_time_range(hours=1, start="0001-01-01T00:00:00+14:00", end=None, now=NOW)


def test_a_window_reads_well_and_makes_a_file_name() -> None:
    window = choose_time_range(hours=1, start=None, end=None, now=NOW)
    assert str(window) == "2026-03-01 11:00:00 to 2026-03-01 12:00:00 UTC"
    assert window.slug == "20260301T110000Z_20260301T120000Z"


def test_two_windows_within_a_second_have_names_of_their_own_and_show_it() -> None:
    whole = choose_time_range(hours=1, start=None, end="2026-02-01T10:00:00Z", now=NOW)
    shifted = choose_time_range(hours=1, start=None, end="2026-02-01T10:00:00.250999Z", now=NOW)
    assert whole.slug == "20260201T090000Z_20260201T100000Z"
    assert shifted.slug == "20260201T090000.250Z_20260201T100000.250Z"
    assert str(shifted) == "2026-02-01 09:00:00.250 to 2026-02-01 10:00:00.250 UTC"


def test_a_window_is_cut_to_the_milliseconds_that_mongodb_keeps() -> None:
    window = choose_time_range(hours=1, start="2026-02-01T10:00:00.0019Z", end=None, now=NOW)
    assert window.start.microsecond == 1_000
