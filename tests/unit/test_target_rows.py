"""Which rows of text are targets of a model, and the reasons why the others are rejected."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sextant.contracts.target_rows import (
    CheckedTarget,
    RejectedTarget,
    TargetRow,
    TargetSchema,
    check_row,
    check_rows,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TRIPS = TargetSchema("taxi", "regression", None)
FLOWERS = TargetSchema("iris", "classification", ("setosa", "versicolor", "virginica"))


@pytest.mark.parametrize(("text", "number"), [("12", 12.0), ("-1.5e3", -1500.0), ("0", 0.0)])
def test_a_regression_target_is_a_finite_number(text: str, number: float) -> None:
    assert check_row(TargetRow(2, "a", text), TRIPS, NOW) == CheckedTarget(2, "a", number, None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (TargetRow(2, "", "1"), "prediction_id is empty"),
        (TargetRow(2, "a b", "1"), "prediction_id is not 1 to 128 visible ASCII characters: 'a b'"),
        (TargetRow(2, "a" * 129, "1"), "prediction_id is not 1 to 128"),
        (TargetRow(2, "a", ""), "target is empty"),
        (TargetRow(2, "a", "nan"), "target is not finite: 'nan'"),
        (TargetRow(2, "a", "1e999"), "target is not finite: '1e999'"),
        (TargetRow(2, "a", "12,5"), "target is not a number: '12,5'; decimals follow a point"),
        (TargetRow(2, "a", "1_000"), "target is not a number: '1_000'"),
        (TargetRow(2, "a", "True"), "target is not a number: 'True'"),
        (TargetRow(2, "a", "1", "iris"), "model is 'iris', and the import is for taxi"),
        (TargetRow(2, "a", "1", "", "yesterday"), "received_at is not an ISO 8601 time: 'yesterday'"),
        (TargetRow(2, "a", "1", "", "2026-03-01T08:00:00"), "received_at has no time zone"),
        (TargetRow(2, "a", "1", "", LATER.isoformat()), "received_at lies in the future"),
        (TargetRow(2, "a", "1", "", "0001-01-01T00:00:00+14:00"), "received_at is not an ISO 8601 time"),
        (TargetRow(2, problem="has 1 field where the header has 2"), "has 1 field"),
    ],
)
def test_a_malformed_row_has_a_reason_that_names_the_value(row: TargetRow, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_row(row, TRIPS, NOW)


def test_a_received_at_is_taken_in_utc_at_mongodbs_resolution() -> None:
    checked = check_row(TargetRow(2, "a", "1", "taxi", "2026-03-01T09:00:00.123456+01:00"), TRIPS, NOW)
    assert checked.received_at == datetime(2026, 3, 1, 8, 0, 0, 123_000, tzinfo=UTC)


def test_a_class_is_one_of_the_models_own() -> None:
    assert check_row(TargetRow(2, "a", "setosa"), FLOWERS, NOW).target == "setosa"
    with pytest.raises(ValueError, match=r"none of the model's classes \(setosa, versicolor, virginica\): 'rose'"):
        check_row(TargetRow(2, "a", "rose"), FLOWERS, NOW)


def test_a_class_that_is_a_whole_number_may_be_written_with_decimals() -> None:
    numbered = replace(FLOWERS, classes=("0", "1", "2"))
    assert [check_row(TargetRow(2, "a", text), numbered, NOW).target for text in ("2", "2.0")] == ["2", "2"]
    with pytest.raises(ValueError, match="none of the model's classes"):
        check_row(TargetRow(2, "a", "2.5"), numbered, NOW)


def test_without_known_classes_any_class_of_a_sane_length_is_taken() -> None:
    unknown = replace(FLOWERS, classes=None)
    assert check_row(TargetRow(2, "a", "rose"), unknown, NOW).target == "rose"
    with pytest.raises(ValueError, match="longer than 1,000 characters"):
        check_row(TargetRow(2, "a", "x" * 1_001), unknown, NOW)


def test_a_malformed_row_does_not_disturb_its_neighbours() -> None:
    rows = [TargetRow(2, "a", "1"), TargetRow(3, "b", "fast", "taxi"), TargetRow(4, "c", "3")]
    checked, rejected = check_rows(rows, TRIPS, NOW)
    assert checked == [CheckedTarget(2, "a", 1.0, None), CheckedTarget(4, "c", 3.0, None)]
    assert rejected == [RejectedTarget(3, "target is not a number: 'fast'", "b", "fast", "taxi", "")]
