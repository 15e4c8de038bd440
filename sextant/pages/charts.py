"""Lines over time as inline SVG: a chart against a level, and a small line of scores against their thresholds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

MARGIN = 4
WIDTH, HEIGHT = 720, 100
SPARKLINE_WIDTH, SPARKLINE_HEIGHT = 240, 44
LEAST_TOP = 1.25  # of the level, so that its line is always inside
NARROWEST_BAND = 3.0

Points = Sequence[tuple[datetime, float]]
Span = tuple[datetime, datetime]
Height = Callable[[float], float]


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


@dataclass(frozen=True, slots=True)
class Sparkline:
    """What the template draws: points of the line, the height of the threshold, the newest point."""

    points: str
    threshold_y: float
    last_x: float
    last_y: float
    width: int = SPARKLINE_WIDTH
    height: int = SPARKLINE_HEIGHT


def line_chart(lines: Mapping[str, Points], *, level: float, over: Span, shaded: Sequence[Span] = ()) -> Chart:
    """Lines of non-negative values against a positive level, from zero upwards."""
    values = [value for points in lines.values() for _, value in points]
    x_of, y_of = _scale_time(over), _linear(max(LEAST_TOP * level, *values), HEIGHT)
    drawn = {name: _thinned([(x_of(at), y_of(value)) for at, value in points]) for name, points in lines.items()}
    bands = [_band(x_of(start), x_of(end)) for start, end in shaded]
    return Chart(drawn, round(y_of(level), 1), bands)


def sparkline(ratios: Sequence[float], *, bounded: bool = False) -> Sparkline | None:
    """A line of how far scores were, in thresholds, oldest first; None when there is nothing to draw.

    `bounded` puts the threshold at half the height, so that one value of 80 thresholds hides no other.
    """
    if not ratios:
        return None
    y_of = _bounded(SPARKLINE_HEIGHT) if bounded else _linear(max(LEAST_TOP, *ratios), SPARKLINE_HEIGHT)
    step = (SPARKLINE_WIDTH - 2 * MARGIN) / max(len(ratios) - 1, 1)
    places = [(MARGIN + step * number, y_of(ratio)) for number, ratio in enumerate(ratios)]
    last_x, last_y = places[-1]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Sparkline(points, round(y_of(1.0), 1), round(last_x, 1), round(last_y, 1))


def _scale_time(over: Span) -> Callable[[datetime], float]:
    first, seconds = over[0], (over[1] - over[0]).total_seconds() or 1.0
    return lambda at: MARGIN + (WIDTH - 2 * MARGIN) * (at - first).total_seconds() / seconds


def _linear(top: float, height: int) -> Height:
    return lambda value: height - MARGIN - (height - 2 * MARGIN) * max(value, 0.0) / top


def _bounded(height: int) -> Height:
    return lambda value: height - MARGIN - (height - 2 * MARGIN) * value / (1 + value)


def _thinned(places: Sequence[tuple[float, float]]) -> str:
    """At most the highest and the lowest point of each pixel, so that a page of any length stays small."""
    pixels: dict[int, list[float]] = {}
    for x, y in places:
        pixels.setdefault(round(x), []).append(y)
    points = [(x, y) for x, heights in pixels.items() for y in (max(heights), min(heights))]
    return " ".join(f"{x},{y:.1f}" for x, y in points)


def _band(start: float, end: float) -> Band:
    width = max(end - start, NARROWEST_BAND)
    return Band(round(min(start, WIDTH - width), 1), round(width, 1))
