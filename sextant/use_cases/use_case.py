"""What every use case states once: its features, target and pipeline, and how raw rows become examples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.schema import Feature, FeatureSchema, Task
from sextant.use_cases.sources import Source, SourceRequest

SPLIT_SEED = 20210101
"""One split for everybody: were it a run's seed, a replay with another seed would send rows trained on."""

REFERENCE_SHARE = 0.25
HOLDOUT_SHARE = 0.25
MAX_REFERENCE_ROWS = 10_000
MIN_ROWS = 200


class TooFewRows(Fatal):
    """What is left after cleaning cannot train and judge a model."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows in three parts that share one index from 0: features, target (missing: unknown) and context."""

    features: pd.DataFrame
    target: "pd.Series[Any]"
    context: pd.DataFrame

    def __len__(self) -> int:
        return len(self.features)

    def take(self, positions: npt.NDArray[np.intp]) -> "Examples":
        """The rows at these positions, in this order."""
        return Examples(
            self.features.iloc[positions].reset_index(drop=True),
            self.target.iloc[positions].reset_index(drop=True),
            self.context.iloc[positions].reset_index(drop=True),
        )


@dataclass(frozen=True, slots=True)
class Split:
    """The reference period in three parts that share no row."""

    training: Examples
    reference: Examples
    holdout: Examples


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """A model to be: everything that is particular to one use case."""

    name: str
    task: Task
    target: str
    about: str
    features: tuple[Feature, ...]
    """With the limits beyond which a value is a fault in the data, where there are such limits."""
    segments: tuple[str, ...] = ()
    """Features or context columns by whose values drift and performance are also told."""
    make_pipeline: Callable[[int], Any]
    """A new scikit-learn pipeline from a seed; it gets a frame of the features, numbers as float32."""
    open_source: Callable[[SourceRequest], Source]
    to_examples: Callable[[pd.DataFrame], Examples]

    @property
    def limits(self) -> FeatureSchema:
        """The features with their limits, before training has shown what is known of their values."""
        return FeatureSchema(features=self.features)


def complete(examples: Examples, schema: FeatureSchema) -> Examples:
    """The rows that a service would accept: no required feature is missing."""
    required = [feature.name for feature in schema.features if feature.required]
    return examples.take(np.flatnonzero(examples.features[required].notna().all(axis=1)))


def clean(examples: Examples, schema: FeatureSchema) -> Examples:
    """The complete rows with a usable target and no number beyond its limits."""
    examples = complete(examples, schema)
    keep = examples.target.notna()
    for name in schema.numerical:
        feature, values = schema[name], examples.features[name]
        low = -np.inf if feature.minimum is None else feature.minimum
        high = np.inf if feature.maximum is None else feature.maximum
        keep &= values.between(low, high) | values.isna()
    return examples.take(np.flatnonzero(keep))


def split(cleaned: Examples) -> Split:
    """Training, reference and hold-out rows: the same for every caller that has the same cleaned rows."""
    if len(cleaned) < MIN_ROWS:
        raise TooFewRows(f"only {len(cleaned)} usable rows are left after cleaning; {MIN_ROWS} are needed")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(cleaned))
    reference_end = min(MAX_REFERENCE_ROWS, int(len(cleaned) * REFERENCE_SHARE))
    holdout_end = reference_end + int(len(cleaned) * HOLDOUT_SHARE)
    return Split(
        training=cleaned.take(order[holdout_end:]),
        reference=cleaned.take(order[:reference_end]),
        holdout=cleaned.take(order[reference_end:holdout_end]),
    )


def known_schema(limits: FeatureSchema, training: Examples) -> FeatureSchema:
    """The schema that is published: limits where stated, otherwise what training rows show."""
    known = (_known(feature, training.features[feature.name].dropna()) for feature in limits.features)
    return FeatureSchema(features=tuple(known))


def _known(feature: Feature, values: "pd.Series[Any]") -> Feature:
    if feature.kind == "categorical":
        return feature.model_copy(update={"categories": tuple(sorted(values.unique()))})
    minimum = float(values.min()) if feature.minimum is None else feature.minimum
    maximum = float(values.max()) if feature.maximum is None else feature.maximum
    return feature.model_copy(update={"minimum": minimum, "maximum": maximum})
