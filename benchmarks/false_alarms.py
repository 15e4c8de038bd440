"""How often calibrated thresholds alarm without drift, and what they catch, beside Evidently's defaults.

python -m benchmarks.false_alarms [--source DIR|synthetic] [--windows 400] [--sizes 500 2000]

Its rows are in random order, so it needs a taxi bundle split at random, of the same source:
python prepare.py --split random --source …
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from sextant.contracts.model_bundle import ONNX_MODEL, ModelBundle, load_bundle
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.drift.stat_tests import evidently_default_drifted
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.frames import monitored_columns
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdicts import SEGMENT_DRIFT
from sextant.infrastructure.settings import load_settings
from sextant.traffic.rows import HOLDOUT, TRAFFIC, replayed
from sextant.training.export import OnnxModel
from sextant.training.split import clean
from sextant.use_cases.use_case import Examples, Source, SourceRequest, load_use_case

MODEL = "taxi"
SHIFT = 1.3

ALARMS = ("dataset", "segments", "degradation", "defaults")
"""Any column; any column of any segment; the error on labelled rows; Evidently's own defaults."""

Window = Callable[[np.random.Generator, int], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The two families of calibrated thresholds."""

    columns: Calibration
    segments: Calibration

    @classmethod
    def of(cls, reference: Reference, sha256: str, folder: Path, rate: float) -> "Thresholds":
        """Kept ones, or new ones."""
        cache = CalibrationCache(folder)
        return cls(
            cache.columns(reference, sha256, false_alarm_rate=rate),
            cache.segments(reference, sha256, false_alarm_rate=rate),
        )


def populations(bundle: ModelBundle, source: Source) -> Mapping[str, Window]:
    """What windows are drawn from: undrifted rows, longer distances, and the later period if there is one."""
    case, schema = load_use_case(MODEL), bundle.manifest.feature_schema
    model = OnnxModel(bundle.file(ONNX_MODEL).read_bytes(), schema, bundle.manifest.task)

    def of(examples: Examples) -> Window:
        def draw(random: np.random.Generator, rows: int) -> pd.DataFrame:
            drawn = examples.take(random.choice(len(examples), rows, replace=False))
            predictions = model.predict(drawn.features).values
            segments = drawn.context[list(case.segments)]
            features = drawn.features.assign(prediction=predictions, target=drawn.target)
            return pd.concat([features, segments], axis=1)

        return draw

    holdout = replayed(case, source, HOLDOUT, bundle.manifest.time)
    longer = holdout.features.assign(trip_distance=holdout.features["trip_distance"] * SHIFT)
    found = {"undrifted": of(holdout), f"trip_distance x {SHIFT}": of(replace(holdout, features=longer))}
    if source.name != "synthetic" and source.traffic_period:
        later = clean(replayed(case, source, TRAFFIC, None), case.limits)
        found[f"{source.traffic_period} against {source.reference_period}"] = of(later)
    return found


def alarm_rates(
    draw: Window, reference: Reference, thresholds: Thresholds, *, windows: int, rows: int, seed: int
) -> dict[str, float]:
    """Share of windows with each kind of alarm, by calibrated thresholds, and with Evidently's default one."""
    random = np.random.default_rng(seed)
    alarms = dict.fromkeys(ALARMS, 0)
    for _ in tqdm(range(windows), leave=False, disable=None, unit="window"):
        window = reference.conform(draw(random, rows))
        found = evaluate(reference, window, thresholds.columns, segment_calibration=thresholds.segments)
        alarms["dataset"] += bool(found.dataset_drift)
        alarms["segments"] += any(verdict.detected for verdict in found.of(SEGMENT_DRIFT))
        alarms["degradation"] += any(verdict.detected for verdict in found.of("performance_degradation"))
        alarms["defaults"] += evidently_default_drifted(
            reference.values, monitored_columns(reference.manifest), window
        )
    return {kind: number / windows for kind, number in alarms.items()}


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
    rate = settings.false_alarm_rate
    thresholds = Thresholds.of(reference, bundle.reference_sha256, settings.data_dir / "calibration", rate)
    print(f"{len(reference.frame):,} reference rows, rate {rate}")
    print(f"{arguments.windows} windows in each row of the table: share with an alarm of each kind")
    print(f"{'windows drawn from':<32}{'rows':>6}" + "".join(f"{kind:>10}" for kind in ALARMS))
    for name, draw in populations(bundle, source).items():
        for rows in arguments.sizes:
            rates = alarm_rates(draw, reference, thresholds, windows=arguments.windows, rows=rows, seed=rows)
            shares = "".join(f"{rates[kind]:>10.1%}" for kind in ALARMS)
            print(f"{name:<32}{rows:>6,}{shares}", flush=True)


if __name__ == "__main__":
    main()
