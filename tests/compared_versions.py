"""Two versions of a model, what they answered, and comparisons of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from batch_flows.compare_models.choice import Choice
from batch_flows.compare_models.comparison import compare
from batch_flows.compare_models.pairs import PredictionSample, id_key, record_key
from batch_flows.compare_models.rows import ComparedRows, choose_rows
from batch_flows.compare_models.summary import ComparisonSummary
from batch_flows.time_range import TimeRange
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
