"""Drift made to order: multiplies a number, or moves a share of rows to one category."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.schema import FeatureSchema


class WrongDrift(Fatal):
    """A --drift that names no feature, or asks for what cannot be done to it."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What happens to one feature: times `factor`, or `category` in a `share` of the rows."""

    feature: str
    factor: float = 1.0
    category: str | None = None
    share: float = 0.0


def parse_drift(text: str, schema: FeatureSchema) -> Drift:
    """From FEATURE=FACTOR (numerical) or FEATURE=CATEGORY=SHARE (categorical); raises WrongDrift."""
    name, *rest = text.split("=")
    if name not in schema.names:
        raise WrongDrift(f"--drift {text}: there is no feature {name!r}; known are: {', '.join(schema.names)}")
    try:
        if schema[name].kind == "numerical":
            (factor,) = rest
            drift = Drift(name, factor=float(factor))
        else:
            category, share = rest
            drift = Drift(name, category=category, share=float(share))
    except ValueError:
        form = "FACTOR" if schema[name].kind == "numerical" else "CATEGORY=SHARE"
        raise WrongDrift(f"--drift {text}: for the {schema[name].kind} {name}, write {name}={form}") from None
    if not np.isfinite(drift.factor) or not 0 <= drift.share <= 1:
        raise WrongDrift(f"--drift {text}: a factor must be finite and a share from 0 to 1")
    return drift


def apply_drifts(features: pd.DataFrame, drifts: Sequence[Drift], rng: np.random.Generator) -> pd.DataFrame:
    """The features after all drifts; the frame that was given stays as it is."""
    drifted = features.copy()
    for drift in drifts:
        if drift.category is None:
            drifted[drift.feature] = drifted[drift.feature] * drift.factor
        else:
            drifted.loc[rng.random(len(drifted)) < drift.share, drift.feature] = drift.category
    return drifted
