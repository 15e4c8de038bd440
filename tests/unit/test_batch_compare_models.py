"""Which rows are compared, and when pairs are believed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from batch_flows.compare_models.choice import choose
from batch_flows.compare_models.pairs import PredictionSample, label, match, record_key
from batch_flows.compare_models.summary import too_few
from sextant.contracts.errors import Rejected
from sextant.contracts.events import Prediction
from sextant.contracts.model_bundle import Manifest
from tests.compared_versions import (
    START,
    VERSIONS,
    WINDOW,
    answer,
    both_sides,
    manifest,
    rows_of,
    target,
)


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
