"""Numbers and times as people read them on a page."""

import math
from datetime import datetime, timedelta

UNKNOWN = "–"  # noqa: RUF001 - an en dash, as tables have it


def number(value: float | None) -> str:
    """Three digits, or all before the point; a dash for what is unknown."""
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def age(now: datetime, moment: datetime) -> str:
    """How long ago it was."""
    return f"{duration((now - moment).total_seconds())} ago"


def duration(seconds: float) -> str:
    """In the largest unit of which there are two."""
    seconds = max(seconds, 0.0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def pace(per_second: float) -> str:
    """Rows in the smallest unit of time that has one."""
    for unit, length in (("s", 1), ("min", 60), ("h", 3_600)):
        if per_second * length >= 1:
            return f"{number(per_second * length)} rows/{unit}"
    return f"{number(per_second * 86_400)} rows/d"


def share(ratio: float | None, decimals: int = 1) -> str:
    """A ratio in per cent, cut and not rounded: only what is whole reads 100 %."""
    if ratio is None:
        return UNKNOWN
    scale = 10.0**decimals
    return f"{math.floor(ratio * 100 * scale + 1e-9) / scale:.{decimals}f} %"


def span(length: timedelta) -> str:
    """A stretch of time in its two largest units: days and hours, hours and minutes, or minutes."""
    hours, minutes = divmod(round(length / timedelta(minutes=1)), 60)
    days, hours = divmod(hours, 24)
    said = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if number]
    return " ".join(said[:2]) or "0 min"
