"""The rows of a replay: which ones, as what records and with which targets, optionally drifted."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.events import Value
from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import FeatureSchema
from sextant.training.split import clean, split
from sextant.use_cases.use_case import Examples, Source, UseCase

TRAFFIC, HOLDOUT = "traffic", "reference-holdout"
PERIODS = (TRAFFIC, HOLDOUT)


class NoTraffic(Fatal):
    """There is no row to send."""


class WrongDrift(Fatal):
    """A --drift that names no feature, or that does not fit the feature's kind."""


@dataclass(frozen=True, slots=True)
class InjectedDrift:
    """A change made to one feature: multiplied by `factor`, or set to `category` in a `share` of the rows."""

    feature: str
    factor: float = 1.0
    category: str | None = None
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Records as a client sends them, and by the same position their targets (None: never known)."""

    records: Sequence[Mapping[Hashable, Any]]
    targets: Sequence[Value]


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """One request: its records with their ids, the targets that will follow, and when it is due.

    `due` is in seconds from the start of the replay.
    """

    records: Sequence[Mapping[Hashable, Any]]
    targets: Mapping[str, Value]
    due: float = 0.0


def replayed(use_case: UseCase, source: Source, period: str, split_by: str | None) -> Examples:
    """Examples to send: the later period as it came, or rows of the model's own that it has not seen.

    `split_by` is the time column of the model's manifest; by another one, rows would be sent that it learned from.
    """
    if period == HOLDOUT:
        return split(clean(use_case.to_examples(source.reference()), use_case.limits), split_by).holdout
    examples = use_case.to_examples(source.traffic()).complete(use_case.limits)
    if not len(examples):
        raise NoTraffic(f"no row of {source.traffic_period} has all features; there is nothing to send")
    return examples


def parse_drift(text: str, schema: FeatureSchema) -> InjectedDrift:
    """From FEATURE=FACTOR (numerical) or FEATURE=CATEGORY=SHARE (categorical); raises WrongDrift."""
    name, *rest = text.split("=")
    if name not in schema.names:
        raise WrongDrift(f"--drift {text}: there is no feature {name!r}; known are: {', '.join(schema.names)}")
    try:
        if schema[name].kind == "numerical":
            (factor,) = rest
            drift = InjectedDrift(name, factor=float(factor))
        else:
            category, share = rest
            drift = InjectedDrift(name, category=category, share=float(share))
    except ValueError:
        form = "FACTOR" if schema[name].kind == "numerical" else "CATEGORY=SHARE"
        raise WrongDrift(f"--drift {text}: for the {schema[name].kind} {name}, write {name}={form}") from None
    if not np.isfinite(drift.factor) or not 0 <= drift.share <= 1:
        raise WrongDrift(f"--drift {text}: a factor must be finite and a share from 0 to 1")
    return drift


def inject(drifts: Sequence[InjectedDrift], features: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A drifted copy of the features."""
    drifted = features.copy()
    for drift in drifts:
        if drift.category is None:
            drifted[drift.feature] = drifted[drift.feature] * drift.factor
        else:
            drifted.loc[rng.random(len(drifted)) < drift.share, drift.feature] = drift.category
    return drifted


def to_traffic(examples: Examples, drifts: Sequence[InjectedDrift], rng: np.random.Generator) -> Traffic:
    """Features, drifted, and context side by side in flat records; the targets stay as they were."""
    rows = pd.concat([inject(drifts, examples.features, rng), examples.context], axis=1)
    return Traffic(
        _without_nan(rows).to_dict("records"), _without_nan(examples.target.to_frame()).iloc[:, 0].tolist()
    )


def _without_nan(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype(object).where(rows.notna(), None)


def predict_requests(
    traffic: Traffic,
    positions: npt.NDArray[np.intp],
    moments: npt.NDArray[np.float64],
    size: int,
    new_id: Callable[[], str],
) -> Iterator[PredictRequest]:
    """The rows at these positions as requests of up to `size` records, each record with an id of its own.

    A request is due when its first row is.
    """
    for start in range(0, len(positions), size):
        rows = [(new_id(), position) for position in positions[start : start + size].tolist()]
        yield PredictRequest(
            [{**traffic.records[position], "prediction_id": name} for name, position in rows],
            {name: target for name, position in rows if (target := traffic.targets[position]) is not None},
            float(moments[start]),
        )


def mismatch(manifest: Manifest, source: Source, period: str) -> str | None:
    """How this replay does not fit the live model, if it does not."""
    if (manifest.data_source == "synthetic") != (source.name == "synthetic"):
        return f"the live model learned from {manifest.data_source} data, and this replays {source.name} data"
    if period == HOLDOUT and manifest.data_period != source.reference_period:
        return f"the live model learned from {manifest.data_period}, and this replays {source.reference_period}"
    return None
