"""Which rows are compared, when pairs are believed, and what the page and document say of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from batch_flows.compare_models.choice import Choice, choose
from batch_flows.compare_models.comparison import compare
from batch_flows.compare_models.page import histogram, interval_line, render, right_or_wrong
from batch_flows.compare_models.pairs import PredictionSample, id_key, label, match, record_key
from batch_flows.compare_models.rows import ComparedRows, choose_rows
from batch_flows.compare_models.summary import ComparisonSummary, too_few
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import Rejected
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Feature, FeatureSchema, Task
from sextant.evaluation.performance.measures import measure_performance, row_errors

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
WINDOW = TimeRange(START, START + timedelta(hours=1))
SCHEMA = FeatureSchema(features=(Feature(name="x", kind="numerical"),))


def manifest(version: str = "v1", *, name: str = "taxi", task: Task = "regression", **more: Any) -> Manifest:
    facts = {"target": "minutes", "classes": ("no", "yes") if task == "classification" else None} | more
    return Manifest(
        name=name, version=version, task=task, feature_schema=SCHEMA, metrics={}, data_source="tests",
        data_period="none", libraries={}, files={}, **facts,
    )  # fmt: skip


VERSIONS = Choice(manifest("v1"), manifest("v2"))


def answer(number: int, side: str = "a", **more: Any) -> Prediction:
    """The answer of one side to record `number`, a second after the one before."""
    facts = {"features": {"x": float(number)}, "prediction": 10.0, "context": {}} | more
    return Prediction(
        prediction_id=f"{side}{number:04}",
        model="taxi",
        model_version={"a": "v1", "b": "v2"}[side],
        created_at=facts.pop("created_at", START + timedelta(seconds=number)),
        **facts,
    )


def target(of: Prediction, value: float | str = 12.0) -> Target:
    return Target(of.prediction_id, of.model, value, of.created_at)


def rows_of(
    of_a: Sequence[Prediction],
    of_b: Sequence[Prediction],
    targets: Sequence[Target],
    choice: Choice = VERSIONS,
    limit: int = 10_000,
) -> ComparedRows:
    samples = PredictionSample(limit, record_key), PredictionSample(limit, id_key)
    for side, predictions in enumerate((of_a, of_b)):
        for made in predictions:
            for sample in samples:
                sample.add(side, made)
    return choose_rows(choice, *samples, {one.prediction_id: one for one in targets})


def both_sides(count: int, first_b: int = 0) -> tuple[list[Prediction], list[Prediction]]:
    return (
        [answer(number) for number in range(count)],
        [answer(number, "b") for number in range(first_b, first_b + count)],
    )


# --- the choice -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (manifest("v1"), "taxi v1 cannot be compared with itself"),
        (manifest("v1", name="iris", task="classification"), "the task of one is regression, of the other class"),
        (manifest("v1", name="fares", target="dollars"), "the target of one is minutes, of the other dollars"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(other: Manifest, reason: str) -> None:
    with pytest.raises(Rejected, match=reason) as refused:
        choose(manifest("v1"), other)
    assert "\n" not in str(refused.value)


def test_versions_are_called_by_version_and_models_by_both() -> None:
    assert VERSIONS.names == ("v1", "v2")
    assert VERSIONS.versions == "v1 vs v2"
    two_models = choose(manifest("v1"), manifest("v1", name="forest"))
    assert two_models.names == ("taxi v1", "forest v1")
    assert two_models.versions == "v1 vs forest v1"
    assert two_models.slug == "taxi_v1_vs_forest_v1"


# --- pairs ------------------------------------------------------------------------------------------------------


def test_a_record_is_the_same_whichever_fields_a_model_takes_for_features() -> None:
    one = replace(answer(1), features={"zone": "41", "distance": 2.5}, context={"hour": 7, "note": None})
    same = replace(answer(2), features={"distance": 2.5, "hour": 7.0}, context={"zone": 41})
    other = replace(answer(3), features={"distance": 2.5, "hour": 8.0}, context={"zone": 41})
    assert record_key(one) == record_key(same) != record_key(other)


def test_a_named_field_alone_can_tell_the_record() -> None:
    one, same, other = (
        replace(answer(number), context={"trip": trip, "arm": number}) for number, trip in enumerate((7, 7, 8))
    )
    assert record_key(one) != record_key(same)
    assert record_key(one, "trip") == record_key(same, "trip") != record_key(other, "trip")


def test_predictions_without_the_named_field_are_nobody_s_partners() -> None:
    assert record_key(answer(1), "trip") != record_key(answer(1, "b"), "trip")


def paired_ids(of_a: Sequence[Prediction], of_b: Sequence[Prediction]) -> list[tuple[str, str]]:
    sample = PredictionSample(1_000, record_key)
    for side, predictions in enumerate((of_a, of_b)):
        for made in predictions:
            sample.add(side, made)
    return [(a.made.prediction_id, b.made.prediction_id) for a, b in match(*sample.sides)]


def test_answers_to_the_same_record_are_pairs_and_the_others_none() -> None:
    of_a, of_b = both_sides(3, first_b=1)
    assert paired_ids(of_a, of_b) == [("a0001", "b0001"), ("a0002", "b0002")]


def test_of_a_record_s_many_answers_the_nearest_in_time_belong_together() -> None:
    def at(seconds: Sequence[int], side: str) -> list[Prediction]:
        times = [START + timedelta(seconds=second) for second in seconds]
        return [answer(n, side, features={"x": 1.0}, created_at=when) for n, when in enumerate(times)]

    assert paired_ids(at([10, 50], "a"), at([0, 9, 30, 49], "b")) == [("a0000", "b0001"), ("a0001", "b0003")]
    assert paired_ids(at([0, 9, 30, 49], "a"), at([10, 50], "b")) == [("a0001", "b0000"), ("a0003", "b0001")]
    assert paired_ids(at([90, 95], "a"), at([0, 1], "b")) == [("a0000", "b0000"), ("a0001", "b0001")]


def test_a_target_on_one_side_is_the_truth_about_both_and_two_that_differ_are_left_out() -> None:
    of_a, of_b = both_sides(4)
    sample = PredictionSample(100, record_key)
    for side, predictions in enumerate((of_a, of_b)):
        for made in predictions:
            sample.add(side, made)
    targets = [target(of_a[0]), target(of_b[1], 13.0), target(of_a[2], 12), target(of_b[2], 12.0)]
    targets += [target(of_a[3], 12.0), target(of_b[3], 40.0)]
    found = label(match(*sample.sides), {one.prediction_id: one for one in targets})
    assert [truth for _, _, truth in found.rows] == [12.0, 13.0, 12]
    assert (found.unlabelled, found.disagreeing, found.labelled_twice) == (0, 1, 2)


def test_a_sample_of_many_records_keeps_both_halves_of_its_pairs() -> None:
    of_a, of_b = both_sides(3_000)
    rows = rows_of(of_a, of_b, [target(made) for made in of_a], limit=1_000)
    assert rows.why_unpaired is None
    assert rows.counts.sampled_one_in in (4, 8)
    assert 200 < len(rows.frame_a) <= 1_000
    assert rows.counts.without_partner_a == rows.counts.without_partner_b == 0
    assert rows.counts.predictions_a == 3_000


# --- rows -------------------------------------------------------------------------------------------------------


def test_records_that_both_answered_are_compared_in_pairs() -> None:
    of_a, of_b = both_sides(80)
    rows = rows_of(of_a, of_b, [target(made, float(n)) for n, made in enumerate(of_a[:60])])
    assert rows.why_unpaired is None
    assert rows.enough
    assert rows.frame_a["target"].tolist() == rows.frame_b["target"].tolist() == [float(n) for n in range(60)]
    assert rows.counts.pairs_without_target == 20


def test_traffic_that_was_split_is_compared_unpaired() -> None:
    of_a, of_b = both_sides(100, first_b=90)
    rows = rows_of(of_a, of_b, [target(made) for made in (*of_a, *of_b)])
    assert rows.why_unpaired == "10 of the smaller side's 100 predictions answer a record of the other"
    assert list(map(len, rows.frames)) == [100, 100]
    assert not rows.apart


def test_equal_records_with_different_targets_are_different_events() -> None:
    of_a, of_b = both_sides(100)
    targets = [target(made) for made in of_a] + [target(made, 12.0 + (n < 10)) for n, made in enumerate(of_b)]
    why = rows_of(of_a, of_b, targets).why_unpaired
    assert why == "10 of 100 pairs with two targets have different ones, so equal records are not the same events"


def test_a_few_corrected_targets_do_not_undo_the_pairs() -> None:
    of_a, of_b = both_sides(100)
    targets = [target(made) for made in of_a] + [target(made, 12.0 + (n < 3)) for n, made in enumerate(of_b)]
    rows = rows_of(of_a, of_b, targets)
    assert rows.why_unpaired is None
    assert (len(rows.frame_a), rows.counts.pairs_with_different_targets) == (97, 3)


def test_sides_that_answered_one_after_the_other_are_apart() -> None:
    of_a, of_b = both_sides(60, first_b=60)
    assert rows_of(of_a, of_b, [target(made) for made in (*of_a, *of_b)]).apart


def test_predictions_and_targets_that_are_no_numbers_are_left_out_of_both_sides() -> None:
    of_a, of_b = both_sides(60)
    of_b[7] = replace(of_b[7], prediction="ten")
    rows = rows_of(of_a, of_b, [target(made, "?" if n == 3 else 12.0) for n, made in enumerate(of_a)])
    assert list(map(len, rows.frames)) == [58, 58]
    assert rows.counts.pairs_unreadable == 2


@pytest.mark.parametrize("labelled", [0, 49])
def test_too_few_labelled_rows_are_not_compared_and_the_message_says_how_many_there_are(labelled: int) -> None:
    of_a, of_b = both_sides(60)
    rows = rows_of(of_a, of_b, [target(made) for made in of_a[:labelled]])
    assert not rows.enough
    message = too_few(VERSIONS, WINDOW, rows, 50)
    assert f"{labelled} labelled predictions of v1 (of 60) and 0 of v2 (of 60); at least 50 of each" in message
    assert f"there are only {labelled} labelled pairs" in message


def test_a_window_without_any_prediction_is_too_few() -> None:
    rows = rows_of([], [], [])
    assert not rows.enough
    assert "0 labelled predictions of v1 (of 0) and 0 of v2 (of 0)" in too_few(VERSIONS, WINDOW, rows, 50)


# --- what is said -----------------------------------------------------------------------------------------------


def summary_of(rows: ComparedRows, choice: Choice = VERSIONS) -> ComparisonSummary:
    task = choice.a.task
    errors = [np.asarray(row_errors(frame, task), np.float64) for frame in rows.frames]
    random = np.random.default_rng(1)
    found = compare(errors[0], errors[1], task=task, paired=rows.why_unpaired is None, random=random)
    performance = measure_performance(rows.frame_a, choice.a), measure_performance(rows.frame_b, choice.b)
    return ComparisonSummary(choice, WINDOW, rows, found, performance)


def regression(gain: float, *, paired: bool = True) -> ComparisonSummary:
    """v2 is nearer to the truth by `gain` minutes, give or take."""
    random = np.random.default_rng(2)
    of_a, of_b = both_sides(200, first_b=0 if paired else 200)
    errors = random.exponential(2.0, 200)
    of_a = [replace(made, prediction=12.0 + error) for made, error in zip(of_a, errors, strict=True)]
    of_b = [
        replace(made, prediction=12.0 + abs(error - random.normal(gain, 0.3)))
        for made, error in zip(of_b, errors, strict=True)
    ]
    return summary_of(rows_of(of_a, of_b, [target(made) for made in (*of_a, *of_b)]))


def classification(only_a: int, only_b: int) -> ComparisonSummary:
    """200 pairs, of which A alone gets the first wrong and B alone the next."""
    choice = Choice(manifest("v1", task="classification"), manifest("v2", task="classification"))
    of_a, of_b = both_sides(200)
    of_a = [replace(made, prediction="no" if n < only_a else "yes") for n, made in enumerate(of_a)]
    of_b = [
        replace(made, prediction="no" if only_a <= n < only_a + only_b else "yes") for n, made in enumerate(of_b)
    ]
    return summary_of(rows_of(of_a, of_b, [target(made, "yes") for made in of_a], choice), choice)


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
