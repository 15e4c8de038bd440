"""Cleaning, splitting and the known schema, on small hand-made examples."""

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Feature, FeatureSchema
from sextant.training.split import TooFewRows, clean, known_schema, split
from sextant.use_cases.use_case import Examples

SCHEMA = FeatureSchema(
    features=(
        Feature(name="zone", kind="categorical"),
        Feature(name="miles", kind="numerical", minimum=0, maximum=100),
        Feature(name="stars", kind="numerical", required=False),
    )
)


def examples(rows: list[tuple[object, object, object, object]]) -> Examples:
    frame = pd.DataFrame(rows, columns=["zone", "miles", "stars", "target"])
    numbers = frame[["miles", "stars"]].astype("float64")
    context = pd.DataFrame({"row": range(len(frame))})
    return Examples(frame[["zone"]].join(numbers), frame["target"].astype("float64"), context)


def many(count: int) -> Examples:
    return examples([(str(row % 7), row % 50, None, row) for row in range(count)])


def test_cleaning_keeps_complete_rows_within_the_limits_that_have_a_target() -> None:
    rows = examples(
        [
            ("a", 0.0, 1.0, 5.0),
            ("a", 100.0, None, 5.0),
            (None, 1.0, 1.0, 5.0),
            ("a", None, 1.0, 5.0),
            ("a", 100.1, 1.0, 5.0),
            ("a", -0.1, 1.0, 5.0),
            ("a", 1.0, 1.0, None),
        ]
    )
    assert clean(rows, SCHEMA).context["row"].tolist() == [0, 1]


def test_complete_rows_may_lie_beyond_the_limits_and_lack_a_target() -> None:
    rows = examples([("a", 9e9, None, None), (None, 1.0, 1.0, 5.0)])
    assert rows.complete(SCHEMA).context["row"].tolist() == [0]


def test_the_three_parts_of_a_split_share_no_row_and_lose_none() -> None:
    parts = split(many(1_000))
    rows = [part.target.tolist() for part in (parts.training, parts.reference, parts.holdout)]
    assert sorted(row for part in rows for row in part) == list(range(1_000))
    assert [len(part) for part in rows] == [500, 250, 250]


def test_the_reference_stops_growing_and_training_gets_the_rest() -> None:
    parts = split(many(60_000))
    assert (len(parts.reference), len(parts.holdout), len(parts.training)) == (10_000, 15_000, 35_000)


def test_the_same_rows_are_always_split_alike() -> None:
    first, second = split(many(1_000)), split(many(1_000))
    assert first.holdout.target.tolist() == second.holdout.target.tolist()
    assert first.holdout.target.tolist() != sorted(first.holdout.target)


def test_too_few_rows_are_refused_in_one_sentence() -> None:
    with pytest.raises(TooFewRows, match="only 10 usable rows"):
        split(many(10))


def test_the_known_schema_takes_limits_where_stated_and_else_what_training_shows() -> None:
    schema = known_schema(SCHEMA, examples([("b", 3.0, 2.0, 1.0), ("a", 4.0, np.nan, 1.0), ("b", 5.0, 4.0, 1.0)]))
    assert schema["zone"].categories == ("a", "b")
    assert (schema["miles"].minimum, schema["miles"].maximum) == (0, 100)
    assert (schema["stars"].minimum, schema["stars"].maximum) == (2, 4)
