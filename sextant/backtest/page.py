"""A backtest as one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from sextant.backtest import text
from sextant.backtest.replay import BacktestResult, Step
from sextant.backtest.summary import (
    AlarmSummary,
    BacktestSummary,
    SignalSummary,
    reference_of,
    signal_name,
    verdicts_of,
)
from sextant.contracts.page_policy import own_parts
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.estimation import ALL_ROWS, ESTIMATED
from sextant.evaluation.performance.measures import HEADLINE
from sextant.pages.charts import Chart, Points, Span, line_chart
from sextant.pages.words import number

TEMPLATE = Path(__file__).with_name("templates") / "backtest.html"


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled chart; `level` says what its dashed line is."""

    name: str
    facts: str
    level: str
    alarmed: bool
    chart: Chart


def as_html(result: BacktestResult, summary: BacktestSummary) -> str:
    """The page, every text in it escaped."""
    return _template().render(_page(result, summary))


def _template() -> Template:
    loader = FileSystemLoader(TEMPLATE.parent)
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return pages.get_template(TEMPLATE.name)


def _page(result: BacktestResult, summary: BacktestSummary) -> Mapping[str, Any]:
    return {
        "policy": own_parts(TEMPLATE.read_text()),
        "title": text.title(result),
        "facts": text.facts(result, summary),
        "alarms": [(text.alarm_line(alarms), _badge(alarms)) for alarms in summary.alarms if result.steps],
        "ends": [f"{moment:%Y-%m-%d %H:%M}" for moment in _span(result)] if result.steps else [],
        "signals": [_signal_panel(result, summary, signal) for signal in summary.signals],
        "performance": _performance_panel(result),
        "measures": text.measure_table(summary.measures),
        "failures": [text.failure_line(failure) for failure in summary.failures],
        "episodes": [(text.episode_line(e), text.cause_table(e.causes)) for e in summary.episodes],
    }


def _badge(alarms: AlarmSummary) -> str:
    if not alarms.judged:
        return "quiet"
    return "bad" if alarms.alarms else "good"


def _span(result: BacktestResult) -> Span:
    return result.steps[0].at, result.steps[-1].at


def _signal_panel(result: BacktestResult, summary: BacktestSummary, signal: SignalSummary) -> Panel:
    episodes = [(e.start, e.end) for e in summary.episodes if e.kind is signal.kind]
    points = [
        (step.at, verdict.threshold_ratio)
        for step in result.steps
        for verdict in verdicts_of(step.evaluation, signal.kind)
        if verdict.threshold_ratio is not None and signal_name(verdict, signal.kind) == signal.name
    ]
    return Panel(
        name=signal.name,
        facts=f"{signal.alarms:,} of {signal.judged:,} alarmed, median {signal.median:.2f}, "
        f"highest {signal.highest:.2f} times the threshold",
        level="threshold",
        alarmed=signal.alarms > 0,
        chart=line_chart({"realised": points}, level=1.0, over=_span(result), shaded=episodes),
    )


def _performance_panel(result: BacktestResult) -> Panel | None:
    """The measure that says most, realised and estimated, against the reference's."""
    name = HEADLINE[result.manifest.task]
    lines = {"realised": _course(result.steps, name), "estimated": _course(result.steps, ESTIMATED + name)}
    present = {line: points for line, points in lines.items() if points}
    if not present:
        return None
    level = reference_of(result.steps, name)
    if not level:
        return None
    facts = f"{' and '.join(present)} against {number(level)} on the reference"
    return Panel(name, facts, "reference", False, line_chart(present, level=level, over=_span(result)))


def _course(steps: Sequence[Step], name: str) -> Points:
    return [(step.at, value) for step in steps if (value := _measure(step.evaluation, name)) is not None]


def _measure(evaluation: Evaluation, name: str) -> float | None:
    return evaluation.measures[ALL_ROWS].get(name)
