"""Use case iris: which species is a flower? Small and always available, so that classifiers are exercised too."""

import zlib
from typing import Any

import numpy as np
import pandas as pd

from sextant.contracts.schema import Feature
from sextant.use_cases.use_case import Examples, Source, SourceError, SourceRequest, UseCase

MEASURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
ROWS = 4_000
NOISE = 0.1
"""Centimetres: the precision of the measurements."""


def make_pipeline(seed: int) -> Any:
    """Scaled measures and a logistic regression."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    scale = ColumnTransformer([("measures", StandardScaler(), list(MEASURES))])
    return Pipeline([("columns", scale), ("logistic", LogisticRegression(max_iter=1_000, random_state=seed))])


def open_source(request: SourceRequest) -> Source:
    """The flowers that come with scikit-learn; there is no other source."""
    if request.source not in ("auto", "synthetic"):
        raise SourceError("iris comes with scikit-learn and has no other source; leave out --source")
    return Source("scikit-learn", request.reference or "bundled", request.traffic or "resampled", resampled)


def resampled(period: str) -> pd.DataFrame:
    """Flowers drawn with replacement from the 150 measured ones, with noise; always the same for a period."""
    from sklearn.datasets import load_iris

    measured = load_iris()
    rng = np.random.default_rng(zlib.crc32(period.encode()))
    drawn = rng.integers(0, len(measured.data), ROWS)
    values = measured.data[drawn] + rng.normal(0, NOISE, (ROWS, len(MEASURES)))
    flowers = pd.DataFrame(np.round(np.maximum(values, 0.1), 2), columns=list(MEASURES))
    return flowers.assign(species=measured.target_names[measured.target[drawn]])


def to_examples(raw: pd.DataFrame) -> Examples:
    """Measures as they are, the species as text, no context."""
    return Examples(raw[list(MEASURES)], raw["species"].astype(str).astype(object), pd.DataFrame(index=raw.index))


USE_CASE = UseCase(
    name="iris",
    task="classification",
    target="species",
    about=(
        "Which of three species an iris is. The rows are the 150 measured flowers, drawn again and again with a "
        "little noise, so held-out rows are near copies of training rows and the scores below flatter."
    ),
    features=tuple(
        Feature(name=name, kind="numerical", description=f"{name.replace('_', ' ')} in cm") for name in MEASURES
    ),
    make_pipeline=make_pipeline,
    open_source=open_source,
    to_examples=to_examples,
)
