"""Lines over time against a level, as inline SVG, for the live page and for backtests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

WIDTH, HEIGHT, MARGIN = 720, 100, 4
LEAST_TOP = 1.25  # of the level, so that its line is always inside
NARROWEST_BAND = 3.0

Points = Sequence[tuple[datetime, float]]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time that is shaded."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws: each line's points by its name, the height of the level, shaded stretches."""

    lines: Mapping[str, str]
    level_y: float
    bands: Sequence[Band]
    width: int = WIDTH
    height: int = HEIGHT


def draw(lines: Mapping[str, Points], *, level: float, over: Span, shaded: Sequence[Span] = ()) -> Chart:
    """Lines of non-negative values against a positive level, from zero upwards."""
    values = [value for points in lines.values() for _, value in points]
    top = max(LEAST_TOP * level, *values)
    x_of, y_of = _scale_time(over), _scale_values(top)
    drawn = {name: _points([(x_of(at), y_of(value)) for at, value in points]) for name, points in lines.items()}
    bands = [_band(x_of(start), x_of(end)) for start, end in shaded]
    return Chart(drawn, round(y_of(level), 1), bands)


def _scale_time(over: Span) -> Callable[[datetime], float]:
    first, seconds = over[0], (over[1] - over[0]).total_seconds() or 1.0
    return lambda at: MARGIN + (WIDTH - 2 * MARGIN) * (at - first).total_seconds() / seconds


def _scale_values(top: float) -> Callable[[float], float]:
    return lambda value: HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * max(value, 0.0) / top


def _points(places: Sequence[tuple[float, float]]) -> str:
    """At most the highest and the lowest point of each pixel, so that a page of any length stays small."""
    pixels: dict[int, list[float]] = {}
    for x, y in places:
        pixels.setdefault(round(x), []).append(y)
    points = [(x, y) for x, heights in pixels.items() for y in (max(heights), min(heights))]
    return " ".join(f"{x},{y:.1f}" for x, y in points)


def _band(start: float, end: float) -> Band:
    width = max(end - start, NARROWEST_BAND)
    return Band(round(min(start, WIDTH - width), 1), round(width, 1))
