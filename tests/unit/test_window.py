import random
from datetime import UTC, datetime, timedelta

import pytest

from sextant.contracts.events import Prediction, Target
from sextant.evaluation.window import Added, Window

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def prediction(number: int, *, version: str = "v1", at: datetime | None = None) -> Prediction:
    moment = at or NOON + timedelta(seconds=number)
    return Prediction(f"p{number:05}", "taxi", version, moment, {"trip_distance": 1.0}, 5.0)


def target(number: int, value: float = 6.0, *, after: float = 60.0) -> Target:
    return Target(f"p{number:05}", "taxi", value, NOON + timedelta(seconds=number + after))


def filled(events: list[Prediction | Target], size: int) -> Window:
    window = Window(size)
    for event in events:
        if isinstance(event, Prediction):
            window.add_prediction(event)
        else:
            window.add_target(event)
    return window


def ids(window: Window, version: str = "v1") -> list[str]:
    return [row.prediction_id for row in window.rows(version).predictions]


def test_the_window_keeps_the_newest_predictions() -> None:
    window = filled([prediction(number) for number in range(10)], size=4)
    assert ids(window) == ["p00006", "p00007", "p00008", "p00009"]


def test_the_same_events_in_any_order_and_any_number_of_times_give_the_same_window() -> None:
    events: list[Prediction | Target] = [prediction(number) for number in range(40)]
    events += [target(number) for number in range(0, 40, 3)]
    expected = filled(events, size=25).rows("v1")
    shuffler = random.Random(7)
    for _ in range(20):
        shuffled = [*events, *shuffler.sample(events, 30)]
        shuffler.shuffle(shuffled)
        # Early targets wait in a buffer as large as the window, which these events do not overflow.
        assert filled(shuffled, size=25).rows("v1") == expected


def test_a_window_of_so_many_seconds_keeps_the_rows_of_so_long_before_its_newest_one() -> None:
    window = Window(100, seconds=10.0)
    for number in (0, 3, 4, 13):
        window.add_prediction(prediction(number))
    assert ids(window) == ["p00003", "p00004", "p00013"]
    assert window.add_prediction(prediction(2)) is Added.TOO_OLD
    assert window.add_prediction(prediction(5)) is Added.ACCEPTED
    window.add_prediction(prediction(900))
    assert ids(window) == ["p00900"]


def test_a_window_of_rows_and_seconds_is_the_same_for_any_order_and_batches() -> None:
    shuffler = random.Random(3)
    events = [prediction(number, at=NOON + timedelta(seconds=number**1.5)) for number in range(40)]
    expected = {}
    for size in (5, 12, 40):
        for _ in range(20):
            window = Window(size, seconds=60.0)
            for event in shuffler.sample([*events, *events[:20]], 60):
                window.add_prediction(event)
            assert ids(window) == expected.setdefault(size, ids(window))
    assert [len(kept) for kept in expected.values()] == [5, 7, 7]


def test_predictions_of_the_same_moment_are_ordered_by_id() -> None:
    window = filled([prediction(number, at=NOON) for number in (3, 1, 2)], size=2)
    assert ids(window) == ["p00002", "p00003"]


def test_a_prediction_that_is_known_is_a_duplicate() -> None:
    window = Window(5)
    assert window.add_prediction(prediction(1)) is Added.ACCEPTED
    revision = window.revision
    assert window.add_prediction(prediction(1)) is Added.DUPLICATE
    assert window.revision == revision


def test_a_prediction_older_than_a_full_window_stays_outside() -> None:
    window = filled([prediction(number) for number in range(5, 8)], size=3)
    assert window.add_prediction(prediction(1)) is Added.TOO_OLD
    assert len(window) == 3


def test_a_target_is_joined_whichever_comes_first() -> None:
    before = filled([target(1), prediction(1)], size=3)
    after = filled([prediction(1), target(1)], size=3)
    assert before.rows("v1").targets == after.rows("v1").targets == {"p00001": target(1)}


def test_the_newest_target_of_a_prediction_counts_in_whichever_order_they_come() -> None:
    old, new = target(1, 6.0, after=60), target(1, 9.0, after=90)
    for order in ([old, new], [new, old]):
        window = filled([prediction(1), *order], size=3)
        assert window.rows("v1").targets["p00001"].target == 9.0


def test_early_targets_are_bounded_by_the_window_size() -> None:
    window = filled([target(number) for number in range(100)], size=10)
    for number in range(100):
        window.add_prediction(prediction(number))
    assert set(window.rows("v1").targets) == {f"p{number:05}" for number in range(90, 100)}


def test_the_target_of_a_prediction_that_left_the_window_is_forgotten() -> None:
    window = filled([prediction(1), target(1), prediction(2), prediction(3)], size=2)
    assert window.rows("v1").targets == {}


def test_what_turns_out_to_lie_in_the_future_leaves_the_window_and_may_come_again() -> None:
    events = [prediction(number) for number in range(6)]
    window = filled([*events, target(1, after=0), target(2, after=900), target(9, after=900)], size=6)
    revision = window.revision
    window.drop_later_than(NOON + timedelta(seconds=3))
    assert ids(window) == ["p00000", "p00001", "p00002", "p00003"]
    assert set(window.rows("v1").targets) == {"p00001"}
    assert window.revision > revision
    for event in (prediction(4), prediction(9)):
        assert window.add_prediction(event) is Added.ACCEPTED
    assert set(window.rows("v1").targets) == {"p00001"}
    assert window.add_target(target(2, after=60)) is Added.ACCEPTED


def test_a_window_without_anything_from_the_future_stays_as_it_is() -> None:
    window = filled([prediction(1), target(1)], size=3)
    revision = window.revision
    window.drop_later_than(NOON + timedelta(seconds=61))
    assert (len(window), window.revision) == (1, revision)


def test_the_answer_that_is_on_record_takes_the_place_of_another_one_to_the_same_request() -> None:
    window = filled([prediction(1), prediction(2), prediction(3), target(1)], size=3)
    again = prediction(1, at=NOON + timedelta(seconds=9))
    assert window.add_prediction(again) is Added.DUPLICATE
    assert window.add_recorded(again) is Added.ACCEPTED
    assert ids(window) == ["p00002", "p00003", "p00001"]
    assert window.rows("v1").targets == {"p00001": target(1)}
    revision = window.revision
    assert window.add_recorded(again) is Added.DUPLICATE
    assert (len(window), window.revision) == (3, revision)


def test_rows_of_another_version_are_counted_and_not_mixed_in() -> None:
    window = filled(
        [prediction(1, version="v1"), prediction(2, version="v2"), prediction(3, version="v2")], size=5
    )
    assert ids(window, "v2") == ["p00002", "p00003"]
    assert window.rows("v2").other_versions == 1


def test_the_label_delay_is_the_median_of_the_labelled_rows() -> None:
    events = [prediction(number) for number in range(4)]
    window = filled([*events, target(0, after=10), target(1, after=20), target(2, after=90)], size=5)
    assert window.rows("v1").label_delay == pytest.approx(20.0)


def test_an_empty_window_has_no_bounds_and_no_delay() -> None:
    rows = Window(5).rows("v1")
    assert (rows.start, rows.end, rows.label_delay) == (None, None, None)
