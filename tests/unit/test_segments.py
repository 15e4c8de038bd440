from typing import Any

import pandas as pd
import pytest

from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.segments import SegmentColumn


def names(column: SegmentColumn, values: list[Any]) -> list[str]:
    frame = pd.DataFrame({column.name: pd.Series(values, dtype=object)})
    return [name for name, _ in column.split(frame)]


def test_the_commonest_twenty_values_have_a_segment_and_the_rest_is_other() -> None:
    values = [str(number) for number in range(30) for _ in range(40 - number)]
    column = SegmentColumn.of("zone", pd.Series(values))
    assert column.values == tuple(str(number) for number in range(20))
    assert names(column, ["25", "3", "0"]) == ["zone=0", "zone=3", "zone=other"]


def test_values_that_are_equally_common_are_taken_in_their_order() -> None:
    column = SegmentColumn.of("zone", pd.Series([f"{number:02}" for number in range(25)][::-1]))
    assert column.values == tuple(f"{number:02}" for number in range(20))


@pytest.mark.parametrize("value", ["never seen", {"nested": 1}, ["list"], True, 1e308])
def test_a_new_value_of_any_kind_is_other(value: Any) -> None:
    assert names(SegmentColumn.of("payment_type", pd.Series(["1", "2"])), [value, "1"]) == [
        "payment_type=1",
        "payment_type=other",
    ]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), pd.NA])
def test_a_missing_or_infinite_value_is_a_missing_one(value: Any) -> None:
    assert names(SegmentColumn.of("payment_type", pd.Series(["1", None])), [value]) == ["payment_type=missing"]


def test_a_number_is_the_same_value_however_it_is_written() -> None:
    assert names(SegmentColumn.of("payment_type", pd.Series([1.0, 2.0])), [1, "1", 1.0]) == ["payment_type=1"]


def test_every_row_is_in_one_segment() -> None:
    frame = pd.DataFrame({"zone": [str(number % 27) for number in range(500)]})
    column = SegmentColumn.of("zone", frame["zone"])
    parts = [part for _, part in column.split(frame)]
    assert sorted(index for part in parts for index in part.index) == list(range(500))


def test_a_long_value_is_cut_so_that_labels_stay_short() -> None:
    (segment,) = names(SegmentColumn.of("note", pd.Series(["x" * 5_000])), ["x" * 5_000])
    assert len(segment) == len("note=") + 100


@pytest.mark.parametrize("segments", [("target",), ("payment_type", "payment_type")])
def test_a_bundle_cannot_name_a_reserved_or_repeated_segment_column(segments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="segments are not unique"):
        Manifest.model_validate({"segments": segments})
