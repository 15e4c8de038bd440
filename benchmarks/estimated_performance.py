"""How near the estimate that needs no target comes to the performance that targets show later.

python -m benchmarks.estimated_performance [--model taxi|iris] [--source DIR|synthetic] [--windows 400]

Its rows are in random order, so it needs a bundle split at random, of the same source:
python prepare.py --split random --model … --source …
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.contracts.model_bundle import ONNX_MODEL, ModelBundle, load_bundle
from sextant.contracts.schema import Task
from sextant.evaluation.frames import PREDICTION, PROBABILITY_PREFIX, TARGET, conform
from sextant.evaluation.performance.estimation import ESTIMATED, PerformanceEstimator
from sextant.evaluation.performance.measures import HEADLINE, row_errors
from sextant.evaluation.reference import Reference
from sextant.infrastructure.settings import load_settings
from sextant.traffic.rows import HOLDOUT, TRAFFIC, replayed
from sextant.training.export import OnnxModel
from sextant.training.split import clean
from sextant.use_cases.use_case import Source, SourceRequest, UseCase, load_use_case

SHIFTS = {"taxi": ("trip_distance", 1.3), "iris": ("petal_length", 1.1)}
"""The feature of each model that is made to drift, and the factor."""


@dataclass(frozen=True)
class Population:
    """Labelled rows to draw windows from, by equal chances or by these weights."""

    rows: pd.DataFrame
    weights: NDArray[np.float64] | None = None

    def draw(self, random: np.random.Generator, rows: int) -> NDArray[np.intp]:
        """Positions of a window's rows, none twice."""
        chances = None if self.weights is None else self.weights / self.weights.sum()
        return random.choice(len(self.rows), rows, replace=False, p=chances)


@dataclass(frozen=True)
class Row:
    """Means over windows of the realised and the estimated measure, and how far two guesses are off on average."""

    realised: float
    estimated: float
    estimate_off: float
    naive_off: float

    @classmethod
    def of(cls, realised: NDArray[np.float64], estimated: NDArray[np.float64], naive: float) -> Self:
        """From each window's measures; the naive guess is the reference's, always."""
        return cls(
            realised=float(realised.mean()),
            estimated=float(estimated.mean()),
            estimate_off=float(np.abs(estimated - realised).mean()),
            naive_off=float(np.abs(naive - realised).mean()),
        )


def populations(bundle: ModelBundle, case: UseCase, source: Source) -> Mapping[str, Population]:
    """Undrifted rows, the same drawn by a feature's size, that feature scaled, and the later period."""
    judged = judge(bundle)
    column, factor = SHIFTS[case.name]
    holdout = replayed(case, source, HOLDOUT, bundle.manifest.time)
    scaled = holdout.features.assign(**{column: holdout.features[column] * factor})
    undrifted = judged(holdout.features, holdout.target)
    found = {
        "undrifted": Population(undrifted),
        f"drawn by {column}": Population(undrifted, undrifted[column].fillna(0.0).to_numpy()),
        f"{column} x {factor}": Population(judged(scaled, holdout.target)),
    }
    if source.traffic_period:
        later = clean(replayed(case, source, TRAFFIC, None), case.limits)
        name = f"{source.traffic_period} against {source.reference_period}"
        found[name] = Population(judged(later.features, later.target))
    return found


def judge(bundle: ModelBundle) -> Callable[[pd.DataFrame, "pd.Series[Any]"], pd.DataFrame]:
    """A function that adds what the bundle's model says to features and targets."""
    manifest = bundle.manifest
    model = OnnxModel(bundle.file(ONNX_MODEL).read_bytes(), manifest.feature_schema, manifest.task)

    def judged(features: pd.DataFrame, target: "pd.Series[Any]") -> pd.DataFrame:
        said = model.predict(features)
        rows = features.copy()
        rows[PREDICTION], rows[TARGET] = said.values, target
        if said.probabilities is not None:
            names = [f"{PROBABILITY_PREFIX}{name}" for name in manifest.classes or ()]
            rows[names] = said.probabilities
        return conform(rows, manifest)

    return judged


def measured(
    population: Population, estimator: PerformanceEstimator, naive: float, *, windows: int, rows: int
) -> Row:
    """The same windows by their targets, by the estimator, and by the reference's measure."""
    task, random = estimator.task, np.random.default_rng(rows)
    errors = row_errors(population.rows, task).to_numpy()
    expected = estimator.expected_errors(population.rows.assign(**{TARGET: None}))
    drawn = [population.draw(random, rows) for _ in range(windows)]
    realised = [as_measure(float(errors[positions].mean()), task) for positions in drawn]
    estimated = [estimator.measures(expected.iloc[positions])[ESTIMATED + HEADLINE[task]] for positions in drawn]
    return Row.of(np.array(realised), np.array(estimated), naive)


def as_measure(error: float, task: Task) -> float:
    """A mean error as the measure that a task is headed by."""
    return error if task == "regression" else 1.0 - error


def timed(reference: Reference) -> PerformanceEstimator:
    """The estimator, after a line about its cost in processor time."""
    began = time.process_time()
    estimator = PerformanceEstimator.fit(reference)
    fitted = time.process_time() - began
    window = reference.frame.iloc[:2_000]
    began = time.process_time()
    for _ in range(20):
        estimator.expected_errors(window)
    each = (time.process_time() - began) / 20
    print(f"fitted in {fitted:.2f} s, {each * 1e3:.1f} ms for {len(window):,} rows (processor time)")
    return estimator


def main() -> None:
    """Print one row for each population and window size."""
    settings = load_settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(SHIFTS), default="taxi")
    parser.add_argument("--source", default="synthetic")
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2_000])
    parser.add_argument("--models-dir", type=Path, default=settings.models_dir)
    arguments = parser.parse_args()
    bundle, case = load_bundle(arguments.models_dir, arguments.model), load_use_case(arguments.model)
    source = case.open_source(SourceRequest(arguments.source, settings.data_dir / "raw"))
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    estimator, measure = timed(reference), HEADLINE[case.task]
    naive = reference.performance.measures[measure]
    print(f"{measure}: {naive:.3f} on {len(reference.frame):,} reference rows, which is the naive guess")
    print(f"{arguments.windows} windows in each row of the table; off: mean absolute difference to the realised")
    print(f"{'windows drawn from':<28}{'rows':>6}{'realised':>10}{'estimated':>11}{'off':>7}{'naive off':>11}")
    for name, population in populations(bundle, case, source).items():
        for rows in (rows for rows in arguments.sizes if rows <= len(population.rows)):
            row = measured(population, estimator, naive, windows=arguments.windows, rows=rows)
            print(
                f"{name:<28}{rows:>6,}{row.realised:>10.3f}{row.estimated:>11.3f}"
                f"{row.estimate_off:>7.3f}{row.naive_off:>11.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
