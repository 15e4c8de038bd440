"""Cleaning, splitting and the known schema, on small hand-made examples."""

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Feature, FeatureSchema
from sextant.training.split import TooFewRows, clean, known_schema, split
from sextant.use_cases.use_case import Examples

TIME = "at"
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


def test_the_three_parts_of_a_random_split_share_no_row_and_lose_none() -> None:
    parts = split(many(1_000), None)
    rows = [part.target.tolist() for part in (parts.training, parts.reference, parts.holdout)]
    assert sorted(row for part in rows for row in part) == list(range(1_000))
    assert [len(part) for part in rows] == [500, 250, 250]


def test_the_reference_stops_growing_and_training_gets_the_rest() -> None:
    parts = split(many(60_000), None)
    assert (len(parts.reference), len(parts.holdout), len(parts.training)) == (10_000, 15_000, 35_000)


def test_the_same_rows_are_always_split_alike() -> None:
    first, second = split(many(1_000), None), split(many(1_000), None)
    assert first.holdout.target.tolist() == second.holdout.target.tolist()
    assert first.holdout.target.tolist() != sorted(first.holdout.target)


def in_days(days: int, rows_a_day: int = 100) -> Examples:
    """Rows in any order, with the time of each in the context; targets count up with time."""
    rows = many(days * rows_a_day)
    first = pd.Timestamp("2021-01-01")
    times = [first + pd.Timedelta(days=row / rows_a_day) for row in range(len(rows))]
    context = pd.DataFrame({TIME: [time.isoformat() for time in times]})
    dated = Examples(rows.features, rows.target, context)
    return dated.take(np.random.default_rng(1).permutation(len(rows)))


def test_rows_with_a_time_are_split_by_whole_days_into_earlier_and_later_ones() -> None:
    parts = split(in_days(31), TIME)
    assert (len(parts.training), len(parts.holdout)) == (2_100, 1_000)
    assert parts.timing is not None
    assert str(parts.timing.history) == "2021-01-01 to 2021-01-21 (21 days)"
    assert str(parts.timing.holdout) == "2021-01-22 to 2021-01-31 (10 days)"
    assert parts.training.target.tolist() == list(range(2_100))
    assert parts.holdout.target.tolist() == list(range(2_100, 3_100))


def test_every_earlier_row_is_scored_and_the_reference_is_some_of_them_in_time_order() -> None:
    parts = split(in_days(31, rows_a_day=600), TIME)
    assert len(parts.scored) == len(parts.training) == 12_600
    assert len(parts.reference) == 10_000
    kept = parts.reference.target.to_numpy()
    assert (np.diff(kept) > 0).all()
    assert kept.max() > 12_500


def test_a_row_s_own_day_is_in_one_fold() -> None:
    parts = split(in_days(9), TIME)
    assert parts.folds is not None
    days = parts.scored.context[TIME].str[:10]
    assert parts.folds.tolist() == [fold for fold in (0, 1, 2, 3, 0, 1) for _ in range(100)]
    assert pd.Series(parts.folds).groupby(days).nunique().eq(1).all()


@pytest.mark.parametrize(
    ("days", "history"), [(1, "2021-01-01 (1 day)"), (2, "2021-01-01 (1 day)"), (3, "(2 days)"), (4, "(3 days)")]
)
def test_few_days_are_split_in_time_order_too(days: int, history: str) -> None:
    parts = split(in_days(days, rows_a_day=300), TIME)
    assert parts.timing is not None
    assert history in str(parts.timing.history)
    assert parts.training.target.max() < parts.holdout.target.min()
    assert parts.folds is not None
    assert len(set(parts.folds.tolist())) > 1


def test_rows_whose_time_is_of_no_use_are_split_at_random_with_a_word() -> None:
    rows = in_days(5)
    parts = split(Examples(rows.features, rows.target, rows.context.assign(at="soon")), TIME)
    assert parts.timing is None
    assert parts.notes[-1].endswith("the rows are split at random, as if they had no time")
    assert len(parts.training) == 250


def test_too_few_rows_are_refused_in_one_sentence() -> None:
    with pytest.raises(TooFewRows, match="only 10 usable rows"):
        split(many(10), None)


def test_the_known_schema_takes_limits_where_stated_and_else_what_training_shows() -> None:
    schema = known_schema(SCHEMA, examples([("b", 3.0, 2.0, 1.0), ("a", 4.0, np.nan, 1.0), ("b", 5.0, 4.0, 1.0)]))
    assert schema["zone"].categories == ("a", "b")
    assert (schema["miles"].minimum, schema["miles"].maximum) == (0, 100)
    assert (schema["stars"].minimum, schema["stars"].maximum) == (2, 4)
