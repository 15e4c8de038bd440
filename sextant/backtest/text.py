"""A backtest in words and tables, for the terminal and for the head of the page."""

from collections.abc import Iterator, Sequence

from sextant.backtest.replay import BacktestResult
from sextant.backtest.summary import (
    AlarmSummary,
    BacktestSummary,
    Cause,
    Episode,
    Failure,
    MeasureSummary,
    SignalSummary,
)
from sextant.evaluation.verdicts import BY_NAME
from sextant.pages.words import number

MOST_EPISODES = 20

Table = Sequence[Sequence[str]]


def as_text(result: BacktestResult, summary: BacktestSummary) -> str:
    """The whole result, with a newline at its end; of many episodes the first ones."""
    return "\n".join(_lines(result, summary)) + "\n"


def _lines(result: BacktestResult, summary: BacktestSummary) -> Iterator[str]:
    yield from (title(result), *facts(result, summary))
    if not result.steps:
        return
    yield from ("", *(alarm_line(alarms) for alarms in summary.alarms))
    yield from ("", *_aligned(signal_table(summary.signals)))
    if summary.measures:
        yield from ("", *_aligned(measure_table(summary.measures)))
    if summary.failures:
        yield from ("", *map(failure_line, summary.failures))
    for place, episode in enumerate(summary.episodes[:MOST_EPISODES], start=1):
        yield from ("", f"{place}. {episode_line(episode)}", *_aligned(cause_table(episode.causes), indent=3))
    if (more := len(summary.episodes) - MOST_EPISODES) > 0:
        yield from ("", f"and {more:,} more episodes: --output FILE.html shows all")


def title(result: BacktestResult) -> str:
    """Which model was judged."""
    return f"Backtest of {result.manifest.name}, version {result.manifest.version}"


def facts(result: BacktestResult, summary: BacktestSummary) -> list[str]:
    """What was judged, and how."""
    lines = [_period(result), _plan(result), _counts(result)]
    if result.steps:
        lines.append(f"{summary.label_coverage:.0%} of a window's rows had their target in time (median)")
        lines += [f"{name.lower()}: {words}" for name, words in summary.notes.items()]
    return lines


def _period(result: BacktestResult) -> str:
    if not result.steps:
        return f"up to {result.plan.end:%Y-%m-%d %H:%M:%S} UTC"
    return f"{result.steps[0].window_start:%Y-%m-%d %H:%M:%S} to {result.steps[-1].at:%Y-%m-%d %H:%M:%S} UTC"


def _plan(result: BacktestResult) -> str:
    plan = result.plan
    seconds = f" of the last {plan.window_seconds:,.0f} s" if plan.window_seconds else ""
    return (
        f"window of {plan.window:,} rows{seconds}, at least {plan.min_rows:,}; "
        f"evaluated after every {plan.every:,} predictions; false-alarm rate {plan.rate:g}"
    )


def _counts(result: BacktestResult) -> str:
    judged = result.versions[result.manifest.version]
    others = result.versions.total() - judged
    beside = f" and {others:,} of other versions" if others else ""
    told = f"{judged:,} predictions{beside}, {len(result.steps):,} evaluations"
    return told if result.steps else f"{told}: no window held {result.plan.min_rows:,} rows of this version"


def alarm_line(alarms: AlarmSummary) -> str:
    """How often one kind of alarm fired."""
    name = alarms.kind.title.lower()
    if not alarms.judged:
        return f"{name}: not judged, {alarms.reason}"
    return (
        f"{name}: {_counted(alarms.alarms, 'alarm')} in {_counted(alarms.judged, 'evaluation')} "
        f"({alarms.share:.1%}; {alarms.expected:.2g} expected if nothing drifted), "
        f"{_counted(alarms.episodes, 'episode')}"
    )


def signal_table(signals: Sequence[SignalSummary]) -> Table:
    """Each score's distance from its threshold, headings first."""
    rows = [[s.name, f"{s.alarms:,}", f"{s.judged:,}", f"{s.median:.2f}", f"{s.highest:.2f}"] for s in signals]
    return [["score as a multiple of its threshold", "alarms", "judged", "median", "highest"], *rows]


def measure_table(measures: Sequence[MeasureSummary]) -> Table:
    """Each measure's range next to the reference, headings first."""
    rows = [[m.name, number(m.reference), *map(number, (m.lowest, m.median, m.highest))] for m in measures]
    return [["performance", "reference", "lowest", "median", "highest"], *rows]


def failure_line(failure: Failure) -> str:
    """Which column could not be judged, and why."""
    return f"{failure.column} not judged in {_counted(failure.evaluations, 'evaluation')}: {failure.reason}"


def episode_line(episode: Episode) -> str:
    """What fired and when."""
    still = ", still on at the end" if episode.ongoing else ""
    times = f"{episode.start:%Y-%m-%d %H:%M:%S} to {episode.end:%Y-%m-%d %H:%M:%S} UTC"
    return f"{episode.kind.title.lower()}, {times}, {_counted(episode.evaluations, 'evaluation')}{still}"


def cause_table(causes: Sequence[Cause]) -> Table:
    """What drove an episode, at its worst, headings first."""
    rows = [
        [
            c.worst.subject or BY_NAME[c.worst.name].title.lower(),
            f"{c.worst.threshold_ratio or 0.0:.2f}",
            number(c.worst.value),
            number(c.worst.threshold),
            f"{c.evaluations:,}",
        ]
        for c in causes
    ]
    return [["at its worst", "multiple", "value", "threshold", "alarms"], *rows]


def _counted(times: int, thing: str) -> str:
    return f"{times:,} {thing}{'' if times == 1 else 's'}"


def _aligned(table: Table, indent: int = 0) -> Iterator[str]:
    """The first column to the left, the numbers to the right."""
    first, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    for name, *cells in table:
        numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        yield f"{'':{indent}}{name:<{first}}{numbers}"
