"""Shares and spans of time as a health summary writes them."""

import math
from datetime import timedelta

UNKNOWN = "–"  # noqa: RUF001 - an en dash, as tables have it


def share(value: float | None, decimals: int = 1) -> str:
    """A ratio in per cent, cut and not rounded: only what is whole reads 100 %."""
    if value is None:
        return UNKNOWN
    scale = 10.0**decimals
    return f"{math.floor(value * 100 * scale + 1e-9) / scale:.{decimals}f} %"


def duration(span: timedelta) -> str:
    """A span as people say it: days and hours, hours and minutes, or minutes."""
    minutes = round(span / timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    said = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(said) or "0 min"
