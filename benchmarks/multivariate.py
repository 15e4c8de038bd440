"""How often the domain classifier alarms without drift, and what it catches, beside the features one by one.

python -m benchmarks.multivariate [--source DIR|synthetic] [--windows 400] [--sizes 500 2000]

Its rows are in random order, so it needs a taxi bundle split at random, of the same source:
python prepare.py --split random --source …
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.false_alarms import MODEL, Window, populations
from sextant.contracts.model_bundle import load_bundle
from sextant.evaluation.drift.calibration import Calibration, ColumnThresholds, calibrate
from sextant.evaluation.drift.column import measure_drift
from sextant.evaluation.drift.multivariate import DomainClassifier
from sextant.evaluation.reference import Reference
from sextant.infrastructure.settings import load_settings
from sextant.use_cases.use_case import SourceRequest, load_use_case

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Judge:
    """The domain classifier and, for comparison, every feature's own test; both families at the same rate."""

    reference: Reference
    domain: DomainClassifier
    thresholds: ColumnThresholds
    single: Calibration

    @classmethod
    def of(cls, reference: Reference, rate: float) -> "Judge":
        """Calibrates both."""
        domain = DomainClassifier(reference)
        began = time.perf_counter()
        thresholds = domain.calibrate(false_alarm_rate=rate)
        print(f"domain classifier calibrated in {time.perf_counter() - began:.0f} s")
        features = reference.manifest.feature_schema.features
        return cls(reference, domain, thresholds, calibrate(reference.values, features, false_alarm_rate=rate))

    def any_feature_drifted(self, window: pd.DataFrame) -> bool:
        """Whether a single feature is beyond its own threshold."""
        return any(
            measure_drift(
                feature,
                self.reference.whole.scorers[feature.name],
                window[feature.name],
                self.single.columns[feature.name],
            ).detected
            for feature in self.reference.manifest.feature_schema.features
        )


@dataclass(frozen=True)
class Row:
    """One row of the table: mean ROC AUC, share of windows with alarm, milliseconds for one measurement."""

    score: float
    threshold: float
    together: float
    single: float
    milliseconds: float


def permuted(*names: str) -> Change:
    """Each of these columns shuffled by itself: every marginal stays what it was."""

    def change(window: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        return window.assign(**{name: random.permutation(window[name].to_numpy()) for name in names})

    return change


def longer(factor: float) -> Change:
    """Distances times a factor."""
    return lambda window, _: window.assign(trip_distance=window["trip_distance"] * factor)


CHANGES: Mapping[str, Change] = {
    "trip_distance permuted": permuted("trip_distance"),
    "zones permuted": permuted("PULocationID", "DOLocationID"),
    "trip_distance x 1.1": longer(1.1),
}


def with_changes(found: Mapping[str, Window]) -> dict[str, Window]:
    """The populations, and the undrifted one changed in ways that single features show badly or not at all."""

    def changed(change: Change) -> Window:
        return lambda random, rows: change(found["undrifted"](random, rows), random)

    return {**found, **{name: changed(change) for name, change in CHANGES.items()}}


def measured(draw: Window, judge: Judge, *, windows: int, rows: int) -> Row:
    """The same windows judged by the domain classifier and by single features."""
    random = np.random.default_rng(rows)
    drifts, single, seconds = [], 0, []
    for _ in tqdm(range(windows), leave=False, disable=None, unit="window"):
        window = draw(random, rows)
        began = time.perf_counter()
        drifts.append(judge.domain.measure(judge.reference.conform(window), judge.thresholds))
        seconds.append(time.perf_counter() - began)
        single += judge.any_feature_drifted(window)
    return Row(
        score=float(np.mean([drift.value or 0.0 for drift in drifts])),
        threshold=drifts[0].threshold or np.nan,
        together=float(np.mean([bool(drift.detected) for drift in drifts])),
        single=single / windows,
        milliseconds=float(np.median(seconds)) * 1_000,
    )


def main() -> None:
    """Print one row for each population and window size."""
    settings = load_settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="synthetic")
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2_000])
    parser.add_argument("--models-dir", type=Path, default=settings.models_dir)
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.models_dir, MODEL)
    source = load_use_case(MODEL).open_source(SourceRequest(arguments.source, settings.data_dir / "raw"))
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    print(f"{len(reference.frame):,} reference rows, rate {settings.false_alarm_rate}")
    judge = Judge.of(reference, settings.false_alarm_rate)
    print(f"{arguments.windows} windows in each row of the table")
    print(f"{'windows drawn from':<28}{'rows':>6}{'auc':>8}{'limit':>8}{'together':>10}{'single':>8}{'ms':>6}")
    for name, draw in with_changes(populations(bundle, source)).items():
        for rows in arguments.sizes:
            row = measured(draw, judge, windows=arguments.windows, rows=rows)
            print(
                f"{name:<28}{rows:>6,}{row.score:>8.3f}{row.threshold:>8.3f}"
                f"{row.together:>10.1%}{row.single:>8.1%}{row.milliseconds:>6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
