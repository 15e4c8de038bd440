"""Judges windows with NannyML; run by a Python that has it, never by ours: python nannyml_chunks.py FOLDER.

For each folder in FOLDER it reads reference.parquet and about.json (columns, categories, windows' files by size),
and writes alarms.json: by folder, file and verdict, which chunks alarmed. Its thresholds are NannyML's defaults.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # read when it is imported

import nannyml
import pandas as pd

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


def alarms(folder: Path) -> dict[str, dict[str, list[bool]]]:
    """By file, verdict and chunk; the calculators of a size are fitted once."""
    about = json.loads((folder / "about.json").read_text())
    reference = typed(pd.read_parquet(folder / "reference.parquet"), about)
    found: dict[str, dict[str, list[bool]]] = {}
    for size, files in about["windows"].items():
        fitted = calculators(reference, about, int(size))
        for file in files:
            rows = typed(pd.read_parquet(folder / file), about)
            found[file] = {name: judge(rows) for name, judge in fitted.items()}
    return found


def typed(rows: pd.DataFrame, about: dict[str, Any]) -> pd.DataFrame:
    """Categories as NannyML takes them."""
    return rows.astype(dict.fromkeys(about["categories"], "category"))


def calculators(reference: pd.DataFrame, about: dict[str, Any], size: int) -> dict[str, Any]:
    """What judges chunks of this size, by verdict; errors count only where they grew."""
    truth = {"y_true": "target", "metrics": ["mae"], "chunk_size": size}
    drift = nannyml.UnivariateDriftCalculator(
        column_names=about["columns"],
        treat_as_categorical=about["categories"],
        continuous_methods=["wasserstein"],
        categorical_methods=["jensen_shannon"],
        chunk_size=size,
    ).fit(reference)
    realised = nannyml.PerformanceCalculator(problem_type="regression", y_pred="prediction", **truth).fit(
        reference
    )
    estimated = nannyml.DLE(feature_column_names=about["features"], y_pred="prediction", **truth).fit(reference)

    def any_column(rows: pd.DataFrame) -> list[bool]:
        table = drift.calculate(rows).filter(period="analysis").to_df()
        return [bool(alert) for alert in table.xs("alert", axis=1, level=2).any(axis=1)]

    def grew(result: Any) -> list[bool]:
        table = result.filter(period="analysis").to_df()["mae"]
        return [bool(beyond) for beyond in table["value"] > table["upper_threshold"]]

    return {
        "dataset_drift": any_column,
        "performance_degradation": lambda rows: grew(realised.calculate(rows)),
        "estimated_degradation": lambda rows: grew(estimated.estimate(rows)),
    }


if __name__ == "__main__":
    found = {}
    for folder in sorted(path.parent for path in Path(sys.argv[1]).glob("*/about.json")):
        print(f"NannyML: {folder.name}", file=sys.stderr, flush=True)
        found[folder.name] = alarms(folder)
    (Path(sys.argv[1]) / "alarms.json").write_text(json.dumps(found))
