"""What a model definition states: its features, target, pipeline and data, and how raw rows become examples."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.schema import Feature, FeatureSchema, Task

NAMES = ("iris", "taxi")


class UnknownUseCase(Fatal):
    """There is no use case of that name."""


class SourceError(Fatal):
    """The requested data are not available."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What the user asked for: a source's name or folder, and optionally the two periods."""

    source: str
    raw_dir: Path
    reference: str | None = None
    traffic: str | None = None
    say: Callable[[str], None] = print


@dataclass(frozen=True, slots=True)
class Source:
    """Raw rows of two periods: the model learns from one and meets the later one as traffic.

    `name` says where the rows come from, for manifests and for people.
    """

    name: str
    reference_period: str
    traffic_period: str | None
    load: Callable[[str], pd.DataFrame]

    def reference(self) -> pd.DataFrame:
        """Raw rows of the period that the model learns from."""
        return self.load(self.reference_period)

    def traffic(self) -> pd.DataFrame:
        """Raw rows of the later period; raises SourceError when the source has only one."""
        if self.traffic_period is None:
            raise SourceError(
                f"the source has only one period, {self.reference_period}; add a later one, or replay with "
                "--period reference-holdout"
            )
        return self.load(self.traffic_period)


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

    def complete(self, schema: FeatureSchema) -> "Examples":
        """The rows that a service would accept: those with every required feature."""
        required = [feature.name for feature in schema.features if feature.required]
        return self.take(np.flatnonzero(self.features[required].notna().all(axis=1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """A model definition: everything that is particular to one model, before it is trained."""

    name: str
    task: Task
    target: str
    about: str
    features: tuple[Feature, ...]
    """With the limits beyond which a value is a fault in the data, where there are such limits."""
    segments: tuple[str, ...] = ()
    """Features or context columns whose values drift and performance are also broken down by."""
    time: str | None = None
    """Feature or context column with the event's local time as ISO 8601 text; None: the events have no time."""
    make_pipeline: Callable[[int], Any]
    """A new scikit-learn pipeline from a seed; it gets a frame of the features, numbers as float32."""
    open_source: Callable[[SourceRequest], Source]
    to_examples: Callable[[pd.DataFrame], Examples]

    @property
    def limits(self) -> FeatureSchema:
        """The features with their stated limits, before training adds the values that it has seen."""
        return FeatureSchema(features=self.features)


def load_use_case(name: str) -> UseCase:
    """The use case of that name, imported only now; raises UnknownUseCase, which lists the known ones."""
    if name not in NAMES:
        raise UnknownUseCase(f"there is no use case {name!r}; known are: {', '.join(NAMES)}")
    found: UseCase = import_module(f"sextant.use_cases.{name}").USE_CASE
    return found
