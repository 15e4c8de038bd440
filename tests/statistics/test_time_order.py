"""How often verdicts alarm on consecutive rows of days that differ, where thresholds know of days and hours."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.synthetic_rows import synthetic_manifest
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation import nulls
from sextant.evaluation.drift import null_scores
from sextant.evaluation.drift.calibration import Calibration, calibrate
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.in_time.null import Nulls
from sextant.evaluation.reference import Reference

A_DAY, DAYS = 250, 28
SCHEMA = FeatureSchema(features=(Feature(name="load", kind="numerical"), Feature(name="kind", kind="categorical")))
MANIFEST = synthetic_manifest().model_copy(update={"feature_schema": SCHEMA, "segments": (), "time": "at"})


def month(random: np.random.Generator) -> pd.DataFrame:
    """Days of which each has a level, a mix and an error of its own, and hours that differ alike on all days."""
    day = np.repeat(np.arange(DAYS), A_DAY)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(DAYS * A_DAY) * (86_400 / A_DAY), unit="s")
    level, share, error = (random.normal(0.0, spread, DAYS)[day] for spread in (0.25, 0.08, 0.2))
    night = np.asarray(at.hour < 6)
    load = level - 2.0 * night + random.normal(size=len(day))
    kind = np.where(random.random(len(day)) < 0.4 + share + 0.2 * night, "a", "b")
    target = load + np.exp(error) * random.normal(size=len(day))
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    return pd.DataFrame({"load": load, "kind": kind, "prediction": load, "target": target, "at": text})


def test_consecutive_rows_of_days_that_differ_alarm_about_as_rarely_as_stated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # At a rate of 0.01 a few of 140 windows are expected: 28 days tell it no better. Shuffled rows tell nothing.
    monkeypatch.setattr(nulls, "SIZES", (A_DAY,))
    monkeypatch.setattr(nulls, "BLOCKS", 56)
    monkeypatch.setattr(nulls, "MULTIVARIATE_SIZES", ())
    monkeypatch.setattr(null_scores, "RESAMPLES", 200)
    random, kept = np.random.default_rng(4), np.arange(0, DAYS * A_DAY, 2)
    stated, calibration = Calibration(0.01, {}, {}), None
    found = dict.fromkeys(("drift", "error", "shuffled", "shifted"), 0)
    for _ in range(5):
        known, later = month(random), month(random)
        rows = known.iloc[kept].reset_index(drop=True)
        in_time = Reference.prepare(MANIFEST, rows, Nulls.from_json(nulls.measure_nulls(MANIFEST, known, kept)))
        shuffled = Reference.prepare(MANIFEST, rows)
        calibration = calibration or calibrate(shuffled.values, shuffled.columns, false_alarm_rate=0.01)
        for start in range(0, len(later), A_DAY):
            window = in_time.conform(later.iloc[start : start + A_DAY])
            verdicts = evaluate(in_time, window, stated)
            found["drift"] += bool(verdicts.dataset_drift)
            found["error"] += any(verdict.detected for verdict in verdicts.of("performance_degradation"))
            found["shuffled"] += bool(evaluate(shuffled, window, calibration).dataset_drift)
            shifted = in_time.conform(window.assign(load=window["load"] + 1.5))
            found["shifted"] += bool(evaluate(in_time, shifted, stated).dataset_drift)
    assert found["drift"] <= 8, found
    assert found["error"] <= 8, found
    assert found["shuffled"] > 70, found
    assert found["shifted"] > 120, found
