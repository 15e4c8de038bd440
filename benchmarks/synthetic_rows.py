"""Rows of a made-up model with ten features, for benchmarks of cost."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Feature, FeatureSchema

NUMERICAL = ("distance", "fare", "tolls", "wait", "speed", "temperature")
CATEGORIES = {"zone": 250, "hour": 24, "weekday": 7, "payment": 5}
SEGMENT = "payment"


def synthetic_manifest(files: Mapping[str, str] | None = None) -> Manifest:
    """A regression model of 10 features, by one of which it is segmented."""
    numerical = [Feature(name=name, kind="numerical") for name in NUMERICAL]
    categorical = [
        Feature(name=name, kind="categorical", categories=tuple(map(str, range(count))))
        for name, count in CATEGORIES.items()
    ]
    return Manifest(
        name="synthetic",
        version="v1",
        task="regression",
        feature_schema=FeatureSchema(features=(*numerical, *categorical)),
        target="duration in minutes",
        segments=(SEGMENT,),
        metrics={},
        data_source="synthetic",
        data_period="none",
        libraries={},
        files=files or {},
    )


def synthetic_rows(rows: int, random: np.random.Generator, *, labelled: float = 1.0) -> pd.DataFrame:
    """Rows as a bundle's reference holds them; of `labelled` of them the target is known."""
    distance = random.lognormal(0.8, 1.2, rows)
    duration = 4.0 + 3.0 * distance
    numbers = {
        "distance": distance,
        "fare": 3.0 + 2.5 * distance + random.normal(0.0, 1.0, rows),
        "tolls": random.pareto(2.5, rows),
        "wait": random.exponential(5.0, rows),
        "speed": random.normal(18.0, 4.0, rows),
        "temperature": random.integers(-5, 30, rows).astype(float),
    }
    target = duration + random.normal(0.0, 3.0, rows)
    target[random.random(rows) >= labelled] = np.nan
    categories = {name: _categories(rows, count, random) for name, count in CATEGORIES.items()}
    return pd.DataFrame({**numbers, **categories, "prediction": duration, "target": target})


def _categories(rows: int, count: int, random: np.random.Generator) -> Any:
    weights = 1.0 / np.arange(1, count + 1)
    return random.choice(np.array([str(code) for code in range(count)], object), rows, p=weights / weights.sum())


def with_times(rows: pd.DataFrame, days: float) -> pd.DataFrame:
    """Evenly spread over some days."""
    seconds = np.arange(len(rows)) * (days * 86_400 / len(rows))
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s")
    return rows.assign(at=at.strftime("%Y-%m-%dT%H:%M:%S")).reset_index(drop=True)
