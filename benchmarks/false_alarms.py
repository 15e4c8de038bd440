"""How often calibrated thresholds alarm without drift, and what they catch, beside Evidently's defaults.

python -m benchmarks.false_alarms [--source DIR|synthetic] [--windows 400] [--sizes 500 2000]

Needs a taxi bundle that was trained from the same source: python prepare.py --source …
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from contracts.model_bundle import ONNX_MODEL, ModelBundle, load_bundle
from contracts.settings import load_settings
from evaluation.calibration import Calibration
from evaluation.calibration_cache import CalibrationCache
from evaluation.evaluate import evaluate
from evaluation.reference import Reference
from evaluation.stat_tests import evidently_default_drifted
from models.onnx_model import OnnxModel
from models.registry import use_case
from models.sources import Source, SourceRequest
from models.traffic import HOLDOUT, TRAFFIC, replayed
from models.use_case import clean

MODEL = "taxi"
SHIFT = 1.3

Window = Callable[[np.random.Generator, int], pd.DataFrame]


def populations(bundle: ModelBundle, source: Source) -> Mapping[str, Window]:
    """What windows are drawn from: undrifted rows, longer distances, and the later period if there is one."""
    case, schema = use_case(MODEL), bundle.manifest.feature_schema
    model = OnnxModel(bundle.file(ONNX_MODEL).read_bytes(), schema, bundle.manifest.task)

    def of(features: pd.DataFrame) -> Window:
        def draw(random: np.random.Generator, rows: int) -> pd.DataFrame:
            window = features.iloc[random.choice(len(features), rows, replace=False)].reset_index(drop=True)
            return window.assign(prediction=model.predict(window).values, target=np.nan)

        return draw

    holdout = replayed(case, source, HOLDOUT).features
    shifted = holdout.assign(trip_distance=holdout["trip_distance"] * SHIFT)
    found = {"undrifted": of(holdout), f"trip_distance x {SHIFT}": of(shifted)}
    if source.name != "synthetic" and source.traffic_period:
        later = clean(replayed(case, source, TRAFFIC), case.limits).features
        found[f"{source.traffic_period} against {source.reference_period}"] = of(later)
    return found


def alarm_rates(
    draw: Window, reference: Reference, calibration: Calibration, *, windows: int, rows: int, seed: int
) -> tuple[float, float]:
    """Share of windows with dataset drift: by the calibrated thresholds, and by Evidently's defaults."""
    random = np.random.default_rng(seed)
    calibrated = defaults = 0
    for _ in tqdm(range(windows), leave=False, disable=None, unit="window"):
        window = draw(random, rows)
        calibrated += bool(evaluate(reference, window, calibration).dataset_drift)
        defaults += evidently_default_drifted(reference.values, reference.columns, window)
    return calibrated / windows, defaults / windows


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
    source = use_case(MODEL).open_source(SourceRequest(arguments.source, settings.data_dir / "raw"))
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    calibration = CalibrationCache(settings.data_dir / "calibration").columns(
        reference, bundle.reference_sha256, false_alarm_rate=settings.false_alarm_rate
    )
    print(f"{len(reference.frame):,} reference rows, rate {settings.false_alarm_rate}")
    print(f"{arguments.windows} windows in each row of the table")
    print(f"{'windows drawn from':<32}{'rows':>6}{'calibrated':>12}{'defaults':>10}")
    for name, draw in populations(bundle, source).items():
        for rows in arguments.sizes:
            rates: Any = alarm_rates(draw, reference, calibration, windows=arguments.windows, rows=rows, seed=rows)
            print(f"{name:<32}{rows:>6,}{rates[0]:>12.1%}{rates[1]:>10.1%}", flush=True)


if __name__ == "__main__":
    main()
