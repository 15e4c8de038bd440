"""Minimal model bundles for tests: a real folder with manifest, a dummy model and synthetic reference rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sextant.contracts.model_bundle import (
    MODEL_CARD,
    NULLS,
    ONNX_MODEL,
    REFERENCE,
    Manifest,
    ModelBundle,
    file_sha256,
    publish,
)
from sextant.contracts.schema import Feature, FeatureSchema, Task

if TYPE_CHECKING:
    from sextant.evaluation.evaluate import Evaluation
    from sextant.evaluation.reference import Reference

ZONES = tuple(str(zone) for zone in range(1, 41))
PAYMENT_TYPES = ("1", "2", "3")
SPECIES = ("setosa", "versicolor", "virginica")

TRIP_SCHEMA = FeatureSchema(
    features=(
        Feature(name="PULocationID", kind="categorical", categories=ZONES),
        Feature(name="DOLocationID", kind="categorical", categories=ZONES),
        Feature(name="trip_distance", kind="numerical", minimum=0.0, maximum=100.0),
    )
)
FLOWER_SCHEMA = FeatureSchema(
    features=(
        Feature(name="petal_length", kind="numerical", minimum=0.1, maximum=10.0),
        Feature(name="petal_width", kind="numerical", minimum=0.1, maximum=10.0),
    )
)


def make_trips(rows: int, *, seed: int = 0, distance_factor: float = 1.0) -> pd.DataFrame:
    """Synthetic trips with prediction, target and context; `distance_factor` other than 1 makes them drift."""
    random = np.random.default_rng(seed)
    weights = 1.0 / np.arange(1, len(ZONES) + 1)
    weights /= weights.sum()
    distance = np.clip(random.lognormal(0.8, 0.7, rows) * distance_factor, 0.1, 99.0).round(2)
    prediction = 4.0 + 4.5 * distance
    return pd.DataFrame(
        {
            "PULocationID": random.choice(ZONES, rows, p=weights),
            "DOLocationID": random.choice(ZONES, rows, p=weights),
            "trip_distance": distance,
            "prediction": prediction,
            "target": np.clip(prediction + random.normal(0.0, 3.0, rows), 1.0, None),
            "payment_type": random.choice(PAYMENT_TYPES, rows, p=(0.6, 0.37, 0.03)),
        }
    )


def make_flowers(rows: int, *, seed: int = 0) -> pd.DataFrame:
    """Synthetic flowers of three species with `prediction` and `target`; one prediction in ten is wrong."""
    random = np.random.default_rng(seed)
    species = random.integers(0, len(SPECIES), rows)
    length = 1.5 + 2.0 * species + random.normal(0.0, 0.4, rows)
    wrong = random.random(rows) < 0.1
    predicted = np.where(wrong, (species + 1) % len(SPECIES), species)
    return pd.DataFrame(
        {
            "petal_length": length.round(2).clip(0.1, 10.0),
            "petal_width": (length / 2.5 + random.normal(0.0, 0.1, rows)).round(2).clip(0.1, 10.0),
            "prediction": np.array(SPECIES)[predicted],
            "target": np.array(SPECIES)[species],
        }
    )


def publish_trips(models_dir: Path, *, name: str = "taxi", version: str = "v1", rows: int = 2_000) -> ModelBundle:
    """Publish a regression bundle of synthetic trips and make it the live version."""
    return publish_bundle(
        models_dir, make_trips(rows, seed=1), TRIP_SCHEMA, name=name, version=version, task="regression"
    )


def publish_flowers(
    models_dir: Path, *, name: str = "iris", version: str = "v1", rows: int = 1_500
) -> ModelBundle:
    """Publish a classification bundle of synthetic flowers and make it the live version."""
    return publish_bundle(
        models_dir, make_flowers(rows, seed=1), FLOWER_SCHEMA, name=name, version=version, task="classification"
    )


def publish_bundle(
    models_dir: Path,
    reference: pd.DataFrame,
    schema: FeatureSchema,
    *,
    name: str,
    version: str,
    task: Task,
    onnx: bytes = b"not a model",
    time: str | None = None,
    nulls: bytes | None = None,
) -> ModelBundle:
    """Publish a bundle around these reference rows; pass real `onnx` bytes where it must predict."""
    staged = models_dir / name / f".staged-{version}"
    staged.mkdir(parents=True)
    (staged / ONNX_MODEL).write_bytes(onnx)
    (staged / MODEL_CARD).write_text(f"# {name} {version}\n\nMade for tests.\n")
    reference.to_parquet(staged / REFERENCE)
    if nulls is not None:
        (staged / NULLS).write_bytes(nulls)
    manifest = make_manifest(
        schema,
        name=name,
        version=version,
        task=task,
        target="duration in minutes" if task == "regression" else "species",
        classes=tuple(sorted(set(reference["target"]))) if task == "classification" else None,
        segments=("payment_type",) if "payment_type" in reference else (),
        time=time,
        files={path.name: file_sha256(path) for path in sorted(staged.iterdir())},
    )
    return publish(models_dir, manifest, staged)


def make_manifest(schema: FeatureSchema, **fields: Any) -> Manifest:
    """A manifest of a regression model with these features, unless the fields say otherwise."""
    made: dict[str, Any] = {
        "name": "taxi",
        "version": "v1",
        "task": "regression",
        "feature_schema": schema,
        "target": "a number",
        "metrics": {},
        "data_source": "tests",
        "data_period": "none",
        "libraries": {},
        "files": {},
    }
    return Manifest(**made | fields)


def evaluated(reference: "Reference", rows: pd.DataFrame, *learned: Any, **more: Any) -> "Evaluation":
    """The evaluation of rows that have no types yet, with what evaluate() takes beside them."""
    from sextant.evaluation.evaluate import evaluate  # takes seconds to import, and few tests need it

    return evaluate(reference, reference.conform(rows), *learned, **more)
