"""The page of a comparison: verdict, interval, measures of both sides and where their errors lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from sextant.contracts.page_policy import own_parts
from sextant.evaluation.performance.measures import row_errors

if TYPE_CHECKING:
    from batch_flows.compare_models.summary import ComparisonSummary

TEMPLATES = Path(__file__).resolve().parent / "templates"
WIDTH, HEIGHT = 600.0, 120.0
MARGIN = 1.25
BINS = 40
TAIL = 0.99

Errors = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IntervalLine:
    """Where interval and difference lie on a line of WIDTH with zero in its middle."""

    low: float
    high: float
    difference: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Outlines of both sides' errors, from 0 to `end`; errors beyond it are counted in `beyond`."""

    a: str
    b: str
    end: str
    beyond: int


@dataclass(frozen=True, slots=True)
class RightOrWrong:
    """Pairs by who was right."""

    both: int
    only_a: int
    only_b: int
    neither: int


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """One measure of both sides; empty where it could not be taken."""

    name: str
    a: str
    b: str


def render(summary: "ComparisonSummary", created_at: datetime) -> str:
    """The page; every text in it is escaped by the template."""
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    task, found = summary.choice.a.task, summary.found
    errors_a, errors_b = (np.asarray(row_errors(frame, task), np.float64) for frame in summary.rows.frames)
    classes = task == "classification"
    return environment.get_template("comparison.html").render(
        summary=summary,
        names=summary.choice.names,
        line=interval_line(found.interval.low, found.interval.high, found.difference),
        measures=measure_rows(*(performance.measures for performance in summary.performance)),
        histogram=None if classes else histogram(errors_a, errors_b),
        right_or_wrong=right_or_wrong(errors_a, errors_b) if classes and found.paired else None,
        width=WIDTH,
        height=HEIGHT,
        created_at=created_at,
        policy=own_parts((TEMPLATES / "comparison.html").read_text()),
    )


def interval_line(low: float, high: float, difference: float) -> IntervalLine:
    """The interval drawn on a scale that holds it and zero."""
    reach = max(abs(low), abs(high)) * MARGIN or 1.0
    return IntervalLine(*(round(WIDTH / 2 * (1 + value / reach), 1) for value in (low, high, difference)))


def histogram(errors_a: Errors, errors_b: Errors) -> Histogram:
    """Both sides on one scale; the shares of rows, so that sides of different size can be compared."""
    end = float(np.quantile(np.concatenate([errors_a, errors_b]), TAIL)) or 1.0
    shares = [np.histogram(errors, BINS, (0.0, end))[0] / len(errors) for errors in (errors_a, errors_b)]
    highest = max(float(share.max()) for share in shares) or 1.0
    beyond = int((errors_a > end).sum() + (errors_b > end).sum())
    outlines = [_outline((share / highest).tolist()) for share in shares]
    return Histogram(outlines[0], outlines[1], f"{end:,.4g}", beyond)


def _outline(levels: Sequence[float]) -> str:
    """A polyline along the tops of the bars, from the ground and back to it."""
    step = WIDTH / len(levels)
    tops = [(x, level) for index, level in enumerate(levels) for x in (index * step, (index + 1) * step)]
    points = [(0.0, 0.0), *tops, (WIDTH, 0.0)]
    return " ".join(f"{x:.1f},{(HEIGHT - 2) * (1 - level) + 1:.1f}" for x, level in points)


def right_or_wrong(errors_a: Errors, errors_b: Errors) -> RightOrWrong:
    """Count the pairs by who was right."""
    right_a, right_b = errors_a == 0, errors_b == 0
    cells = (right_a & right_b, right_a & ~right_b, ~right_a & right_b, ~right_a & ~right_b)
    return RightOrWrong(*(int(cell.sum()) for cell in cells))


def measure_rows(of_a: Mapping[str, float], of_b: Mapping[str, float]) -> list[ComparedMeasure]:
    """The measures of both sides, in the order in which they were taken."""
    return [
        ComparedMeasure(name, *(f"{of[name]:.4g}" if name in of else "" for of in (of_a, of_b)))
        for name in dict.fromkeys((*of_a, *of_b))
    ]
