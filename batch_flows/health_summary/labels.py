"""How many of a model's predictions have their target by now, part by part of a window, at a bounded cost."""

from collections.abc import Collection
from datetime import datetime
from itertools import islice

from batch_flows.health_summary.history import HOUR
from batch_flows.time_range import TimeRange
from sextant.infrastructure.event_store import EventStore

MOST_PARTS = 30
"""A week's parts are six hours long; nx-27017 reads its whole collection for each."""
OPTIONAL = ("context", "latency_ms", "probabilities")


def labelled_by_hour(
    store: EventStore, model: str, window: TimeRange, hours: Collection[datetime], *, most: int
) -> dict[datetime, float]:
    """For each of these hours the share of labelled predictions in its part of the window.

    About `most` predictions are looked at, the first ones of each part; in a window of no more, all.
    """
    shares: dict[datetime, float] = {}
    for part in window.parts(MOST_PARTS, HOUR):
        busy = [hour for hour in hours if part.start <= hour < part.end]
        share = _labelled(store, model, part, most // MOST_PARTS or 1) if busy else None
        if share is not None:
            shares.update(dict.fromkeys(busy, share))
    return shares


def _labelled(store: EventStore, model: str, part: TimeRange, most: int) -> float | None:
    """Documents that are no predictions are left out; None when there is nothing else."""
    found = store.between(model, part.start, part.end, skip=lambda _refusal: None, without=OPTIONAL)
    ids = [prediction.prediction_id for prediction in islice(found, most)]
    return len(store.targets_for(ids)) / len(ids) if ids else None
