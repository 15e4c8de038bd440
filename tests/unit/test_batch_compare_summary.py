"""What is said of a comparison: verdict, sentence, document."""

from dataclasses import replace

import pytest

from batch_flows.compare_models.page import render
from tests.compared_versions import (
    START,
    both_sides,
    classification,
    regression,
    rows_of,
    summary_of,
    target,
)


def test_the_verdict_names_the_better_version() -> None:
    assert regression(0.5).verdict == "v2 is better than v1"
    assert regression(-0.5).verdict == "v1 is better than v2"
    assert regression(0.0, paired=False).verdict == "No difference between v1 and v2 is shown"
    assert classification(30, 5).verdict == "v2 is better than v1"
    assert classification(5, 5).verdict == "No difference between v1 and v2 is shown"


def test_the_sentence_holds_window_verdict_figures_and_design() -> None:
    said = regression(0.5).sentence()
    assert said.startswith("taxi, 2026-03-01 08:00:00 to 2026-03-01 09:00:00 UTC: v2 is better than v1; ")
    assert "mean absolute error of v2 less that of v1: -0." in said
    assert said.endswith("paired, 200 records that both answered")
    assert "error rate of v2 less that of v1: -12.50 points (95% interval " in classification(30, 5).sentence()


def test_the_document_has_the_fields_of_the_design_and_its_status_is_the_verdict() -> None:
    document = regression(0.5).record(START).document()
    who_and_when = {"_id", "flow", "model", "model_version", "window", "created_at"}
    assert set(document) == who_and_when | {"rows", "rows_with_target", "metrics", "html"}
    assert (document["model"], document["model_version"]) == ("taxi", "v1 vs v2")
    assert (document["rows"], document["rows_with_target"]) == (400, 400)
    metrics = document["metrics"]
    assert (metrics["verdict"], metrics["paired"], metrics["method"]) == ("b", True, "paired bootstrap")
    assert metrics["status"] == {"text": "v2 is better than v1", "kind": "quiet"}
    assert metrics["interval"]["low"] < metrics["difference"] < metrics["interval"]["high"] < 0
    mae = [metrics["sides"][side]["performance"]["mae"] for side in "ab"]
    assert mae[1] - mae[0] == pytest.approx(metrics["difference"])
    assert metrics["caution"] == []


def test_an_unpaired_verdict_comes_with_its_condition_everywhere() -> None:
    summary = regression(0.0, paired=False)
    assert summary.record(START).metrics["paired"] is False
    assert summary.sentence().endswith("unpaired, 200 and 200 rows of their own")
    assert summary.cautions[0].startswith("Not paired: ")
    assert "did not answer at the same time" in summary.cautions[1]
    page = render(summary, START)
    assert "holds only if nothing but chance decided which model answered" in page


def test_pairs_of_the_same_record_again_and_again_are_cautioned_about() -> None:
    of_a, of_b = ([replace(made, features={"x": 1.0}) for made in side] for side in both_sides(100))
    summary = summary_of(rows_of(of_a, of_b, [target(made) for made in of_a]))
    assert summary.cautions[0].startswith("99 pairs repeat a record")


def test_what_was_left_out_is_told_with_its_reason() -> None:
    of_a, of_b = both_sides(100, first_b=10)
    rows = rows_of(of_a, of_b, [target(made) for made in of_a[:80]])
    assert summary_of(rows).facts["Left out"] == (
        "20 pairs without a target; 10 predictions of v1 without a partner; 10 predictions of v2 without a partner"
    )


def test_an_unpaired_comparison_counts_the_rows_without_a_target() -> None:
    of_a, of_b = both_sides(100, first_b=100)
    rows = rows_of(of_a, of_b, [target(made) for made in (*of_a[:70], *of_b)])
    assert summary_of(rows).facts["Left out"] == "30 predictions of v1 without a readable target"
