"""The rows of a replay: which ones, as what records, with which truth, drifted if so wished."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.events import Value
from sextant.contracts.model_bundle import Manifest
from sextant.traffic.drift import Drift, apply_drifts
from sextant.use_cases.sources import Source
from sextant.use_cases.use_case import Examples, UseCase, clean, complete, split

TRAFFIC, HOLDOUT = "traffic", "reference-holdout"
PERIODS = (TRAFFIC, HOLDOUT)


class NoTraffic(Fatal):
    """There is no row that could be sent."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Records as a client sends them, and by the same position the truth (None: it never becomes known)."""

    records: Sequence[Mapping[Hashable, Any]]
    targets: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Shipment:
    """One request: its records with their ids, and the truths that will follow."""

    records: Sequence[Mapping[Hashable, Any]]
    targets: Mapping[str, Value]


def replayed(use_case: UseCase, source: Source, period: str) -> Examples:
    """Examples to send: the later period as it came, or reference rows used neither to train nor as reference."""
    if period == HOLDOUT:
        return split(clean(use_case.to_examples(source.reference()), use_case.limits)).holdout
    examples = complete(use_case.to_examples(source.traffic()), use_case.limits)
    if not len(examples):
        raise NoTraffic(f"no row of {source.traffic_period} has all features; there is nothing to send")
    return examples


def to_traffic(examples: Examples, drifts: Sequence[Drift], rng: np.random.Generator) -> Traffic:
    """Features, drifted, and context side by side in flat records; the truth stays what it was."""
    rows = pd.concat([apply_drifts(examples.features, drifts, rng), examples.context], axis=1)
    return Traffic(
        _without_nan(rows).to_dict("records"), _without_nan(examples.target.to_frame()).iloc[:, 0].tolist()
    )


def _without_nan(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype(object).where(rows.notna(), None)


def shuffled(rows: int, count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """`count` positions below `rows` in random order; every row comes once before any comes again."""
    rounds = -(-count // rows)
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count]


def shipments(
    traffic: Traffic, positions: npt.NDArray[np.intp], batch: int, new_id: Callable[[], str]
) -> Iterator[Shipment]:
    """The rows at these positions as requests of up to `batch` records, each record with an id of its own."""
    for start in range(0, len(positions), batch):
        rows = [(new_id(), position) for position in positions[start : start + batch].tolist()]
        yield Shipment(
            [{**traffic.records[position], "prediction_id": name} for name, position in rows],
            {name: truth for name, position in rows if (truth := traffic.targets[position]) is not None},
        )


def doubts(manifest: Manifest, source: Source, period: str) -> str | None:
    """Why this replay may not be what it seems for the live model, if there is a reason."""
    if (manifest.data_source == "synthetic") != (source.name == "synthetic"):
        return f"the live model learned from {manifest.data_source} data, and this replays {source.name} data"
    if period == HOLDOUT and manifest.data_period != source.reference_period:
        return f"the live model learned from {manifest.data_period}, and this replays {source.reference_period}"
    return None
