"""How often the verdicts beside drift alarm when nothing changed, and what they catch.

python -m benchmarks.verdicts [--model taxi|iris] [--source DIR|synthetic] [--windows 400] [--sizes 500 2000]
                              [--references 40]

Its rows are in random order, so it needs a bundle split at random, of the same source:
python prepare.py --split random --model … --source …
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from benchmarks.estimated_performance import SHIFTS, judge
from sextant.contracts.model_bundle import ModelBundle, load_bundle
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.frames import PREDICTION, TARGET
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdicts import KINDS
from sextant.infrastructure.settings import load_settings
from sextant.traffic.rows import HOLDOUT, TRAFFIC, replayed
from sextant.training.split import clean
from sextant.use_cases.use_case import Examples, Source, SourceRequest, UseCase, load_use_case

WORSE = 1.5
BLANKED = 0.05

VERDICTS = tuple(kind.name for kind in KINDS if kind.judge and kind.yes not in ("drift", "drifted"))
"""The verdicts beside drift, which has a benchmark of its own: `benchmarks.false_alarms`."""

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Population:
    """Rows to draw windows from, by equal chances or by the size of a column, and what is done to a window."""

    rows: pd.DataFrame
    by: str | None = None
    change: Change = lambda window, _: window

    def draw(self, random: np.random.Generator, rows: int) -> pd.DataFrame:
        """A window with none of the rows twice."""
        weights = None if self.by is None else self.rows[self.by].fillna(0.0).to_numpy()
        chances = None if weights is None else weights / weights.sum()
        positions = random.choice(len(self.rows), rows, replace=False, p=chances)
        return self.change(self.rows.iloc[positions].reset_index(drop=True), random)


@dataclass(frozen=True)
class Judge:
    """A reference and its estimator; drift is not judged here."""

    reference: Reference
    estimator: PerformanceEstimator
    rate: float

    @classmethod
    def of(cls, reference: Reference, rate: float) -> Self:
        """With an estimator that is fitted on the reference."""
        return cls(reference, PerformanceEstimator.fit(reference), rate)

    def alarms(self, window: pd.DataFrame) -> dict[str, bool]:
        """Which verdicts alarm."""
        window = self.reference.conform(window)
        found = evaluate(self.reference, window, Calibration(self.rate, {}, {}), estimator=self.estimator)
        return {name: any(verdict.detected for verdict in found.of(name)) for name in VERDICTS}


def judged_rows(bundle: ModelBundle, case: UseCase, examples: Examples) -> pd.DataFrame:
    """Examples with what the model says of them, and the columns to segment by."""
    segments = examples.context[[name for name in case.segments if name in examples.context]]
    return pd.concat([judge(bundle)(examples.features, examples.target), segments], axis=1)


def worse_in(column: str, value: str) -> Change:
    """The errors of one segment multiplied."""

    def change(window: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
        error = (window[TARGET] - window[PREDICTION]) * np.where(window[column] == value, WORSE, 1.0)
        return window.assign(**{TARGET: window[PREDICTION] + error})

    return change


def blanked(column: str) -> Change:
    """Some values of a column lost."""
    return lambda window, random: window.assign(
        **{column: window[column].where(random.random(len(window)) >= BLANKED)}
    )


def populations(
    bundle: ModelBundle, case: UseCase, source: Source, undrifted: pd.DataFrame
) -> Mapping[str, Population]:
    """Undrifted rows, the same in ways that one verdict or other should see, and the later period."""
    column, factor = SHIFTS[case.name]
    found = {
        "undrifted": Population(undrifted),
        f"drawn by {column}": Population(undrifted, by=column),
        f"{BLANKED:.0%} of {column} missing": Population(undrifted, change=blanked(column)),
    }
    holdout = replayed(case, source, HOLDOUT, bundle.manifest.time)
    scaled = holdout.features.assign(**{column: holdout.features[column] * factor})
    found[f"{column} x {factor}"] = Population(judged_rows(bundle, case, replace(holdout, features=scaled)))
    for segment in case.segments:
        for value in undrifted[segment].value_counts().index[:3]:
            changed = worse_in(segment, value)
            found[f"errors x {WORSE} in {segment}={value}"] = Population(undrifted, change=changed)
    if source.traffic_period:
        later = clean(replayed(case, source, TRAFFIC, None), case.limits)
        found[f"{source.traffic_period} against {source.reference_period}"] = Population(
            judged_rows(bundle, case, later)
        )
    return found


def share_of_alarms(judge: Judge, population: Population, *, windows: int, rows: int) -> dict[str, float]:
    """For each verdict the share of windows in which it alarms."""
    random = np.random.default_rng(rows)
    found = [judge.alarms(population.draw(random, rows)) for _ in range(windows)]
    return {name: sum(alarms[name] for alarms in found) / windows for name in VERDICTS}


def share_over_references(
    reference: Reference, others: pd.DataFrame, rate: float, *, references: int, windows: int, rows: int
) -> dict[str, float]:
    """The same without drift, where the reference is drawn anew as well: one draw alone may be a lucky one."""
    random, size = np.random.default_rng(rows), len(reference.frame)
    pool = pd.concat([reference.frame, others], ignore_index=True)
    shares = []
    for _ in range(references):
        order = random.permutation(len(pool))
        drawn = pool.iloc[order[:size]].reset_index(drop=True)
        rest = Population(pool.iloc[order[size:]].reset_index(drop=True))
        fitted = Judge.of(Reference.prepare(reference.manifest, drawn), rate)
        found = [fitted.alarms(rest.draw(random, rows)) for _ in range(windows)]
        shares.append({name: sum(alarms[name] for alarms in found) / windows for name in VERDICTS})
    return {name: float(np.mean([share[name] for share in shares])) for name in VERDICTS}


def row_of(name: str, rows: int, shares: Mapping[str, float]) -> str:
    """A line of the table."""
    return f"{name:<36}{rows:>6,}" + "".join(f"{shares[verdict]:>13.1%}" for verdict in VERDICTS)


def main() -> None:
    """Print one row for each population and window size."""
    settings = load_settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(SHIFTS), default="taxi")
    parser.add_argument("--source", default="synthetic")
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--references", type=int, default=40)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2_000])
    parser.add_argument("--models-dir", type=Path, default=settings.models_dir)
    arguments = parser.parse_args()
    bundle, case = load_bundle(arguments.models_dir, arguments.model), load_use_case(arguments.model)
    source = case.open_source(SourceRequest(arguments.source, settings.data_dir / "raw"))
    reference, rate = Reference.prepare(bundle.manifest, bundle.reference()), settings.false_alarm_rate
    undrifted = judged_rows(bundle, case, replayed(case, source, HOLDOUT, bundle.manifest.time))
    print(f"{len(reference.frame):,} reference rows, rate {rate}, {arguments.windows} windows a line")
    print(f"{'windows drawn from':<36}{'rows':>6}" + "".join(f"{verdict:>13}" for verdict in VERDICTS), flush=True)
    fitted = Judge.of(reference, rate)
    for name, population in populations(bundle, case, source, undrifted).items():
        for rows in (rows for rows in arguments.sizes if rows < len(population.rows)):
            shares = share_of_alarms(fitted, population, windows=arguments.windows, rows=rows)
            print(row_of(name, rows, shares), flush=True)
    each = arguments.windows // arguments.references
    for rows in arguments.sizes:
        shares = share_over_references(
            reference, undrifted, rate, references=arguments.references, windows=each, rows=rows
        )
        print(row_of(f"undrifted, {arguments.references} references", rows, shares), flush=True)


if __name__ == "__main__":
    main()
