"""Which rows a model learns from: the usable ones, split in three parts that share no row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.use_cases.use_case import Examples

SPLIT_SEED = 20210101
"""Fixed for everybody: were it the run's seed, a replay with another seed would send rows trained on."""

REFERENCE_SHARE = 0.25
HOLDOUT_SHARE = 0.25
MAX_REFERENCE_ROWS = 10_000
MIN_ROWS = 200


class TooFewRows(Fatal):
    """The rows left after cleaning are too few to train and evaluate a model."""


@dataclass(frozen=True, slots=True)
class Split:
    """The reference period in three parts that share no row."""

    training: Examples
    reference: Examples
    holdout: Examples


def clean(examples: Examples, schema: FeatureSchema) -> Examples:
    """The complete rows with a usable target and no number beyond its limits."""
    examples = examples.complete(schema)
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
    """The schema that is published: the stated limits, and where there are none, what training rows show."""
    known = (_known(feature, training.features[feature.name].dropna()) for feature in limits.features)
    return FeatureSchema(features=tuple(known))


def _known(feature: Feature, values: "pd.Series[Any]") -> Feature:
    if feature.kind == "categorical":
        return feature.model_copy(update={"categories": tuple(sorted(values.unique()))})
    minimum = float(values.min()) if feature.minimum is None else feature.minimum
    maximum = float(values.max()) if feature.maximum is None else feature.maximum
    return feature.model_copy(update={"minimum": minimum, "maximum": maximum})
