"""Numbers and times as people read them on a page."""

from datetime import datetime


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
