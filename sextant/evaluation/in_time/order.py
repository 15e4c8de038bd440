"""For which order of rows the thresholds hold: what is said wherever thresholds are shown."""

from typing import Literal

from sextant.evaluation.in_time.null import FEWEST_DAYS, FEWEST_DAYS_TO_RELY_ON, Nulls

Order = Literal["time", "provisional", "too short", "random"]
"""Of consecutive rows; the same, from 3 to 6 days only; nothing is judged, from fewer; of shuffled rows only."""


def order_of(nulls: Nulls | None) -> Order:
    """The order for which thresholds from these scores hold; None: from resampled rows."""
    if nulls is None:
        return "random"
    if not nulls.judges:
        return "too short"
    return "provisional" if nulls.provisional else "time"


def in_words(order: Order, days: int) -> str:
    """What a person is told of thresholds from a reference of so many days."""
    spans = f"the reference spans {days:,} day{'' if days == 1 else 's'}"
    return {
        "time": f"hold for consecutive rows: {spans}",
        "provisional": f"provisional: {spans}, {FEWEST_DAYS_TO_RELY_ON} are needed to rely on the stated rate",
        "too short": f"scores only: {spans}, {FEWEST_DAYS} are needed",
        "random": "valid for randomly ordered rows only",
    }[order]
