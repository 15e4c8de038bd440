"""What a backtest was asked for, checked before anything is read."""

import os
from argparse import Namespace
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

from sextant.contracts.errors import Rejected
from sextant.contracts.events import as_utc
from sextant.infrastructure.settings import Settings

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
OUTPUTS = (".html", ".csv")
EVALUATIONS_PER_WINDOW = 4


@dataclass(frozen=True, slots=True)
class BacktestPlan:
    """Predictions with start <= created_at < end go through a window, evaluated after each `every` of them."""

    start: datetime
    end: datetime
    window: int
    min_rows: int
    every: int
    rate: float
    output: Path | None = None
    window_seconds: float | None = None


def make_plan(options: Namespace, settings: Settings, *, now: datetime) -> BacktestPlan:
    """The plan of parsed arguments; raises Rejected with one sentence about what is wrong with them."""
    start = BEGINNING if options.start is None else _moment("start", options.start)
    end = now if options.end is None else _moment("end", options.end)
    if start >= end:
        raise Rejected(f"the end must come after the start: {start.isoformat()} to {end.isoformat()}")
    if settings.window_size < settings.window_min_rows:
        raise Rejected(
            f"a window of {settings.window_size:,} rows never holds the {settings.window_min_rows:,} rows that an "
            "evaluation needs: give a larger --window or a smaller --min-rows"
        )
    return BacktestPlan(
        start=start,
        end=end,
        window=settings.window_size,
        min_rows=settings.window_min_rows,
        every=_every(options.every, settings.window_size),
        rate=settings.false_alarm_rate,
        output=None if options.output is None else _output(Path(options.output)),
        window_seconds=settings.window_seconds,
    )


def _every(given: int | None, window: int) -> int:
    if given is None:
        return max(window // EVALUATIONS_PER_WINDOW, 1)
    if given < 1:
        raise Rejected(f"--every must be at least 1, got {given}")
    return given


def _moment(name: str, text: str) -> datetime:
    try:
        return _midnight(text) or as_utc(text)
    except (ValueError, OverflowError) as error:
        reason = "has no time zone" if "no time zone" in str(error) else "is not an ISO 8601 time"
        raise Rejected(f"{name} {reason}: {text} (write it like 2026-01-31T08:00:00+00:00)") from None


def _midnight(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return None


def _output(path: Path) -> Path:
    if path.suffix.lower() not in OUTPUTS:
        raise Rejected(f"cannot tell from {path.name} what to write: end it with {' or '.join(OUTPUTS)}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Rejected(f"{path} cannot be written")
    return path
