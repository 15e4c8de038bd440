"""A small line of a model's drift over its reports, for the index."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 240.0, 44.0, 3.0
THRESHOLD_Y = HEIGHT / 2
LONGEST = 60


@dataclass(frozen=True, slots=True)
class DriftLine:
    """What the template draws: the points, the newest of them, and what a screen reader says."""

    points: str
    last_x: float
    last_y: float
    drifted: bool
    text: str
    threshold_y: float = THRESHOLD_Y
    width: float = WIDTH
    height: float = HEIGHT


def draw(shares: Sequence[float]) -> DriftLine | None:
    """A line through reports' largest score ÷ threshold, oldest first; None when there are none."""
    shares = shares[-LONGEST:]
    if not shares:
        return None
    step = (WIDTH - 2 * MARGIN) / max(len(shares) - 1, 1)
    places = [(MARGIN + step * number, _height(share)) for number, share in enumerate(shares)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    text = f"largest drift score in the last {len(shares)} reports; newest: {shares[-1]:.3g} times its threshold"
    return DriftLine(points, round(places[-1][0], 1), round(places[-1][1], 1), shares[-1] > 1, text)


def _height(share: float) -> float:
    """Half the height is the threshold, whatever else is drawn: one report with 80 times it hides no other."""
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share / (1 + share)
