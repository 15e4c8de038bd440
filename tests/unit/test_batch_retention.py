"""What retention may delete: only what is old, reported on for its version, and not in monitoring's window."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_flows.reports.record import ReportRecord, read_records
from batch_flows.retention.plan import (
    AgeLimits,
    Coverage,
    Deleted,
    Gap,
    Kept,
    choose_limits,
    choose_models,
    coverage_by_version,
    deletable,
    in_batches,
    old_pages,
)
from batch_flows.retention.summary import ModelOutcome, Pruned, RetentionSummary, interruption
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import Rejected

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)


def at(hours: float) -> datetime:
    return DAY + hours * HOUR


def covering(*spans: tuple[float, float]) -> Coverage:
    return Coverage.of(TimeRange(at(start), at(end)) for start, end in spans)


def report(**changes: Any) -> dict[str, Any]:
    usual = {
        "flow": "drift-report",
        "model_version": "v1",
        "window": {"start": at(0), "end": at(24)},
        "created_at": at(25),
        "html": "one.html",
    }
    return usual | changes


def records(*documents: dict[str, Any]) -> list[ReportRecord]:
    return read_records(documents)[0]


windows = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12
)


@given(windows, st.integers(-2, 75))
def test_a_moment_is_covered_exactly_when_one_of_the_windows_holds_it(
    spans: list[tuple[int, int]], hour: int
) -> None:
    held = any(start <= hour < end for start, end in spans)
    assert (covering(*spans).gap_at(at(hour)) is None) == held


@given(windows, st.integers(-2, 75), st.integers(-2, 75))
def test_two_moments_are_in_the_same_gap_exactly_when_no_window_lies_between_them(
    spans: list[tuple[int, int]], one: int, other: int
) -> None:
    first, last = sorted((one, other))
    coverage = covering(*spans)
    gaps = coverage.gap_at(at(first)), coverage.gap_at(at(last))
    if None not in gaps:
        between = any(start <= hour < end for start, end in spans for hour in range(first, last))
        assert (gaps[0] == gaps[1]) == (not between)


@given(windows)
def test_the_union_is_sorted_and_its_spans_are_apart(spans: list[tuple[int, int]]) -> None:
    coverage = covering(*spans)
    edges = [edge for span in zip(coverage.starts, coverage.ends, strict=True) for edge in span]
    assert edges == sorted(set(edges))


def test_a_window_covers_its_start_and_not_its_end() -> None:
    coverage = covering((1, 2))
    assert coverage.gap_at(at(1)) is None
    assert coverage.gap_at(at(2) - MILLISECOND) is None
    assert coverage.gap_at(at(1) - MILLISECOND) == 0
    assert coverage.gap_at(at(2)) == 1


def test_a_report_covers_its_own_version_only() -> None:
    later = report(model_version="v2", window={"start": at(24), "end": at(30)}, created_at=at(30))
    found = coverage_by_version(records(report(), later), flow="drift-report")
    assert found == {"v1": covering((0, 24)), "v2": covering((24, 30))}


@pytest.mark.parametrize(
    "odd",
    [
        {"flow": "compare-models"},
        {"window": None},
        {"window": {"start": at(0)}},
        {"window": {"start": at(3), "end": at(2)}},
        {"window": {"start": at(0).isoformat(), "end": at(1).isoformat()}},
        {"created_at": at(24) - MILLISECOND},  # the window was still open
        {"created_at": None},
    ],
)
def test_what_is_no_drift_report_of_a_finished_window_proves_nothing(odd: dict[str, Any]) -> None:
    assert coverage_by_version(records(report(**odd), {}), flow="drift-report") == {}


def test_uncovered_predictions_stay_and_their_gaps_are_named_by_version() -> None:
    rows = [("a", "v1", at(0)), ("b", "v1", at(1)), ("c", "v2", at(2)), ("d", "v1", at(5)), ("e", "v1", at(6))]
    kept = Kept()
    assert list(deletable(rows, {"v1": covering((1, 3))}, kept, window_start=at(9))) == ["b"]
    assert (kept.uncovered, kept.in_window) == (4, 0)
    assert kept.gaps == [
        Gap("v1", at(5), at(6), 2),
        Gap("v1", at(0), at(0), 1),
        Gap("v2", at(2), at(2), 1),
    ]


def test_the_newest_stay_for_monitoring_however_old_and_covered_they_are() -> None:
    rows = [(str(number), "v1", at(number)) for number in range(5)]
    kept = Kept()
    assert list(deletable(rows, {"v1": covering((0, 9))}, kept, window_start=at(3))) == ["0", "1", "2"]
    assert (kept.in_window, kept.uncovered) == (2, 0)
    assert list(deletable(rows, None, Kept(), window_start=at(0))) == []


def test_without_asking_for_a_report_all_but_the_window_may_go() -> None:
    rows = [("a", "", at(0)), ("b", "v9", at(1))]
    assert list(deletable(rows, None, Kept(), window_start=at(2))) == ["a", "b"]


@given(
    st.lists(st.tuples(st.sampled_from(["v1", "v2"]), st.integers(0, 60)), max_size=40),
    windows,
    st.integers(0, 60),
)
def test_each_old_prediction_goes_or_is_counted_once_among_those_that_stay(
    made: list[tuple[str, int]], spans: list[tuple[int, int]], window_start: int
) -> None:
    ordered = sorted(made, key=lambda row: row[1])
    rows = [(str(number), version, at(hour)) for number, (version, hour) in enumerate(ordered)]
    kept = Kept()
    gone = [
        rows[int(name)] for name in deletable(rows, {"v1": covering(*spans)}, kept, window_start=at(window_start))
    ]
    assert len(gone) + kept.uncovered + kept.in_window == len(rows)
    assert all(version == "v1" and covering(*spans).gap_at(moment) is None for _, version, moment in gone)
    assert all(moment < at(window_start) for _, _, moment in gone)


def test_ids_come_in_batches_of_which_the_last_may_be_short() -> None:
    assert list(in_batches("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(in_batches([], 2)) == []


def test_the_limits_are_days_ago_at_mongodbs_resolution() -> None:
    now = at(0) + timedelta(microseconds=1_999)
    assert choose_limits(older_than_days=2, keep_reports_days=0.5, now=now) == AgeLimits(
        at(-48) + MILLISECOND, at(-12) + MILLISECOND
    )
    assert choose_limits(older_than_days=0, keep_reports_days=None, now=at(0)) == AgeLimits(at(0), None)


@pytest.mark.parametrize("days", [-1, -0.001, 36_601, float("nan"), float("inf")])
def test_ages_that_make_no_sense_are_rejected_by_name(days: float) -> None:
    with pytest.raises(Rejected, match="older_than_days must lie between 0 and 36,600"):
        choose_limits(older_than_days=days, keep_reports_days=None, now=DAY)
    with pytest.raises(Rejected, match="keep_reports_days must lie between"):
        choose_limits(older_than_days=1, keep_reports_days=days, now=DAY)


def test_a_model_that_nobody_knows_is_rejected_and_the_known_ones_are_named() -> None:
    assert choose_models(None, stored=["taxi", "iris"], published=["diamonds"]) == ["iris", "taxi"]
    assert choose_models("diamonds", stored=[], published=["diamonds"]) == ["diamonds"]
    assert choose_models("retired", stored=["retired"], published=[]) == ["retired"]
    with pytest.raises(Rejected, match=r"there is no model 'unicorn'.*known: iris, taxi"):
        choose_models("unicorn", stored=["taxi"], published=["iris"])


def test_only_pages_that_no_newer_report_names_are_old() -> None:
    reports = [
        report(html="old.html"),
        report(html="taxi/old.html"),
        report(html="again.html"),
        report(html="again.html", created_at=at(50)),
        report(html="limit.html", created_at=at(48)),
        report(html="undated.html"),
        report(html="undated.html", created_at=None),
    ]
    assert old_pages(*read_records(reports), at(48)) == (["old.html", "taxi/old.html"], 0)


@pytest.mark.parametrize(
    "name",
    ["/etc/page.html", "../page.html", "a/../../page.html", "model.onnx", "index.html", "./index.html", "",
     ".html", "..\\page.html", "a\0.html"],
)  # fmt: skip
def test_a_name_that_is_no_page_within_the_folder_is_refused_and_counted(name: str) -> None:
    assert old_pages(records(report(html=name)), [], at(48)) == ([], 1)


def summary(*outcomes: ModelOutcome, pages: int = 0, refused: int = 0, applied: bool = False) -> RetentionSummary:
    return RetentionSummary(AgeLimits(at(0), at(-24)), outcomes, Pruned(pages, refused), applied)


def test_the_sentence_says_what_goes_what_stays_and_why() -> None:
    kept = Kept(in_window=400)
    for hour in (-3, -2):
        kept.note_uncovered("v1", 4, at(hour))
    told = summary(ModelOutcome("taxi", Deleted(120_000, 1), kept), pages=2, refused=1).sentence()
    assert told == (
        "dry run: would delete 120,000 predictions and 1 target of taxi made before 2026-03-01 00:00:00 UTC, "
        "keeps 2 that no report covers (version v1: 2 from 2026-02-28 21:00:00 UTC to 2026-02-28 22:00:00 UTC), "
        "keeps 400 for monitoring's window; would delete 2 reports from before 2026-02-28 00:00:00 UTC; "
        "leaves 1 report whose file is not a page in the folder"
    )


def test_only_the_three_largest_gaps_are_named_in_the_sentence_and_all_in_the_table() -> None:
    kept = Kept()
    for gap in range(5):
        kept.note_uncovered("", gap, at(gap - 10))
    told = summary(ModelOutcome("taxi", Deleted(), kept), applied=True)
    assert told.sentence().count("version unknown: 1 from") == 3
    assert "and 2 more gaps" in told.sentence()
    assert told.markdown().count("| taxi |  | 2026-02-28") == 5


def test_nothing_old_is_said_in_so_many_words() -> None:
    nothing = summary(ModelOutcome("taxi", Deleted(), Kept()))
    assert not nothing.found
    assert (
        nothing.sentence() == "dry run: nothing was made before 2026-03-01 00:00:00 UTC, and no report is too old"
    )


def test_an_interruption_says_what_is_gone_already() -> None:
    assert interruption("MongoDB: away", {"iris": Deleted()}) == "MongoDB: away"
    assert interruption("MongoDB: away", {"iris": Deleted(), "taxi": Deleted(3_000, 20)}) == (
        "MongoDB: away; before that it deleted at least 3,000 predictions and 20 targets of taxi: "
        "run it again for the rest"
    )
