"""What one evaluation costs beside the bare Evidently report on the same frames, interleaved in one run.

python -m benchmarks.evaluation_cost [--rounds 15] [--rows 2000] [--reference 10000]
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Regression, Report
from evidently.presets import DataDriftPreset, DataSummaryPreset, RegressionPreset

from benchmarks.synthetic_rows import CATEGORIES, NUMERICAL, synthetic_manifest, synthetic_rows, with_times
from sextant.evaluation.drift.calibration import Calibration, ColumnThresholds, calibrate, calibrate_segments
from sextant.evaluation.drift.multivariate import DomainClassifier
from sextant.evaluation.evaluate import Evaluation, evaluate
from sextant.evaluation.frames import ConformedFrame
from sextant.evaluation.in_time.null import Nulls
from sextant.evaluation.nulls import measure_nulls
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import Verdict

RATE = 0.01
LARGER = 4
DAYS = 28

SEXTANT = "evaluate()"
SEXTANT_LARGER = f"evaluate(), {LARGER} x the reference"
IN_TIME = "evaluate(), rows in the order of time"
EVIDENTLY = "Evidently: drift, summary, regression"
EVIDENTLY_DRIFT = "Evidently: drift alone"
TOGETHER = "multivariate drift"

Arm = Callable[[], object]


@dataclass(frozen=True)
class Judge:
    """All that the service holds for a model before it evaluates."""

    reference: Reference
    calibration: Calibration
    segment_calibration: Calibration
    estimator: PerformanceEstimator
    domain: DomainClassifier
    multivariate_calibration: ColumnThresholds

    @classmethod
    def prepared(cls, rows: pd.DataFrame) -> Self:
        """Everything that is found out once from these reference rows; prints how long each step takes."""
        with timed("prepare the reference"):
            reference = Reference.prepare(synthetic_manifest(), rows)
        with timed("calibrate the columns"):
            calibration = calibrate(reference.values, reference.columns, false_alarm_rate=RATE)
        with timed("calibrate the segments"):
            parts = {name: part.values for name, part in reference.segments.items()}
            segments = calibrate_segments(parts, reference.columns, false_alarm_rate=RATE)
        with timed("fit the estimator"):
            estimator = PerformanceEstimator.fit(reference)
        with timed("prepare the classifier"):
            domain = DomainClassifier(reference)
        with timed("calibrate it"):
            together = domain.calibrate(false_alarm_rate=RATE)
        return cls(reference, calibration, segments, estimator, domain, together)

    def evaluate(self, window: ConformedFrame) -> Evaluation:
        """One evaluation with all its parts, as the service does it."""
        return evaluate(
            self.reference,
            window,
            self.calibration,
            segment_calibration=self.segment_calibration,
            estimator=self.estimator,
        )

    def evaluate_together(self, window: ConformedFrame) -> Verdict:
        """The evaluation of all features together, which the service does less often."""
        return self.domain.measure(window, self.multivariate_calibration)


def in_time(rows: pd.DataFrame, kept: int) -> Judge:
    """The same model with the time of each row: so many rows of four weeks are the reference."""
    manifest = synthetic_manifest().model_copy(update={"time": "at"})
    positions = np.linspace(0, len(rows) - 1, kept).astype(np.intp)
    rows = with_times(rows, DAYS)
    with timed("measure what blocks score"):
        nulls = Nulls.from_json(measure_nulls(manifest, rows, positions))
    reference, stated = Reference.prepare(manifest, rows.iloc[positions], nulls), Calibration(RATE, {}, {})
    none = ColumnThresholds("", 0, (), ())
    return Judge(reference, stated, stated, PerformanceEstimator.fit(reference), DomainClassifier(reference), none)


def require_whole(evaluation: Evaluation) -> None:
    """Stop unless everything was judged: what fails costs nothing."""
    unjudged = [verdict for verdict in evaluation.verdicts if verdict.detected is None]
    if evaluation.errors or unjudged:
        sys.exit(f"not everything was judged: {evaluation}")
    print(f"Each gives {len(evaluation.verdicts)} verdicts, on {len(evaluation.segments)} segments among others.")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block takes."""
    began = time.perf_counter()
    yield
    print(f"  {what:<24}{time.perf_counter() - began:>8.2f} s", flush=True)


def evidently_arm(make: Callable[[], list[Any]], window: pd.DataFrame, reference: pd.DataFrame) -> Arm:
    """Evidently's report of these parts, without HTML; the reference's data set is made once."""
    definition = DataDefinition(
        numerical_columns=[*NUMERICAL, "prediction", "target"],
        categorical_columns=list(CATEGORIES),
        regression=[Regression(target="target", prediction="prediction")],
    )
    known = Dataset.from_pandas(reference, data_definition=definition)

    def run() -> None:
        current = Dataset.from_pandas(window, data_definition=definition)
        with np.errstate(all="ignore"):
            Report(make()).run(current_data=current, reference_data=known)

    return run


def interleaved(arms: Mapping[str, Arm], rounds: int) -> dict[str, list[float]]:
    """Seconds of each arm in each round; every round begins with another arm, and a first one does not count."""
    names, seconds = list(arms), {name: [0.0] * rounds for name in arms}
    for number in range(-1, rounds):
        for place in range(len(names)):
            name = names[(number + place) % len(names)]
            began = time.perf_counter()
            arms[name]()
            if number >= 0:
                seconds[name][number] = time.perf_counter() - began
    return seconds


def arms_of(judge: Judge, window: pd.DataFrame, reference: pd.DataFrame, larger: pd.DataFrame) -> dict[str, Arm]:
    """What is compared; the larger reference is judged by the same thresholds, since only time is asked for."""
    with timed("the larger reference"):
        larger_judge = replace(judge, reference=Reference.prepare(synthetic_manifest(), larger))
    timely, later = in_time(larger, len(reference)), with_times(window, 2.0)
    require_whole(timely.evaluate(timely.reference.conform(later)))
    return {
        SEXTANT: lambda: judge.evaluate(judge.reference.conform(window)),
        IN_TIME: lambda: timely.evaluate(timely.reference.conform(later)),
        SEXTANT_LARGER: lambda: larger_judge.evaluate(judge.reference.conform(window)),
        EVIDENTLY: evidently_arm(
            lambda: [DataDriftPreset(), DataSummaryPreset(), RegressionPreset()], window, reference
        ),
        EVIDENTLY_DRIFT: evidently_arm(lambda: [DataDriftPreset()], window, reference),
        TOGETHER: lambda: judge.evaluate_together(judge.reference.conform(window)),
    }


def report(seconds: Mapping[str, list[float]]) -> None:
    """Print each arm's times and the ratios that the issue asks for."""
    print(f"\n{'arm':<42}{'median ms':>11}{'lowest':>9}{'highest':>9}")
    for name, times in seconds.items():
        low, middle, high = (1_000 * value for value in (min(times), statistics.median(times), max(times)))
        print(f"{name:<42}{middle:>11.1f}{low:>9.1f}{high:>9.1f}")
    print(f"\n{'ratio, by round':<64}{'median':>8}{'lowest':>9}{'highest':>9}")
    for over, under in (
        (SEXTANT, EVIDENTLY),
        (SEXTANT, EVIDENTLY_DRIFT),
        (SEXTANT_LARGER, SEXTANT),
        (IN_TIME, SEXTANT),
    ):
        ratios = [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]
        name = f"{over} / {under}"
        print(f"{name:<64}{statistics.median(ratios):>8.3f}{min(ratios):>9.3f}{max(ratios):>9.3f}")


def main() -> None:
    """Prepare, measure all arms in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--reference", type=int, default=10_000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # as in the service
    random = np.random.default_rng(0)
    print(f"{arguments.rows:,} rows x 10 features, half labelled; {arguments.reference:,} reference rows. Once:")
    reference = synthetic_rows(arguments.reference, random)
    larger = synthetic_rows(LARGER * arguments.reference, random)
    window = synthetic_rows(arguments.rows, random, labelled=0.5)
    judge = Judge.prepared(reference)
    arms = arms_of(judge, window, reference, larger)
    require_whole(judge.evaluate(judge.reference.conform(window)))
    report(interleaved(arms, arguments.rounds))


if __name__ == "__main__":
    main()
