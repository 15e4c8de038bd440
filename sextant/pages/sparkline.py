"""A small inline SVG line of a column's drift over time, as a share of its threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 240.0, 44.0, 3.0
LEAST_TOP = 1.25  # of the threshold, so that its line is always inside


@dataclass(frozen=True, slots=True)
class Sparkline:
    """What the template draws: points of the line, the height of the threshold, the newest point."""

    points: str
    threshold_y: float
    last_x: float
    last_y: float
    width: float = WIDTH
    height: float = HEIGHT


def draw(shares: Sequence[float]) -> Sparkline | None:
    """A line of scores divided by their thresholds, oldest first; None when there is nothing to draw."""
    if not shares:
        return None
    top = max(LEAST_TOP, *shares)
    step = (WIDTH - 2 * MARGIN) / max(len(shares) - 1, 1)
    places = [(MARGIN + step * number, _height(share, top)) for number, share in enumerate(shares)]
    last_x, last_y = places[-1]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Sparkline(points, round(_height(1.0, top), 1), round(last_x, 1), round(last_y, 1))


def _height(share: float, top: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share / top
