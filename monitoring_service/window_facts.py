"""Facts of a window that no evaluation is needed for: its bounds, its pace, what repeats in it."""

from dataclasses import dataclass
from datetime import datetime

import orjson

from sextant.contracts.events import Prediction
from sextant.evaluation.window import WindowRows


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """Facts of a window that holds rows; None for what cannot be told of so few."""

    start: datetime
    end: datetime
    rows_per_second: float | None
    duplicate_ratio: float
    label_delay: float | None

    @classmethod
    def of(cls, rows: WindowRows) -> "WindowFacts":
        """The facts of at least one row."""
        times = [prediction.created_at for prediction in rows.predictions]
        start, end = min(times), max(times)
        seconds = (end - start).total_seconds()
        return cls(
            start=start,
            end=end,
            rows_per_second=(len(times) - 1) / seconds if seconds > 0 else None,
            duplicate_ratio=1.0 - len({_record(prediction) for prediction in rows.predictions}) / len(times),
            label_delay=rows.label_delay,
        )


def _record(prediction: Prediction) -> bytes:
    """What the client sent, context included: two equal ones are one event that was sent under two ids."""
    sent = [prediction.features, prediction.context]
    return orjson.dumps(sent, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
