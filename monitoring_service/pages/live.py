"""What the live page shows of each model, in words and numbers ready for its template."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring_service.model_monitor import MonitorState, WindowEvaluation
from monitoring_service.views import waiting_reason
from sextant.contracts.schema import Task
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.estimation import ALL_ROWS, ESTIMATED
from sextant.evaluation.performance.measures import HEADLINE
from sextant.evaluation.quality import DATA_QUALITY, ColumnQuality
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict
from sextant.evaluation.verdict_words import alarms, in_words
from sextant.evaluation.verdicts import BY_NAME, DATASET_DRIFT, KINDS
from sextant.pages.charts import Chart, Points, Sparkline, line_chart, sparkline
from sextant.pages.words import age, duration, number, pace

TITLES: dict[Task, str] = {"regression": "Mean absolute error", "classification": "Accuracy"}


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict in a word or two, and how it looks: good, bad or quiet."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One column of the model: its score against its threshold, now and before."""

    name: str
    method: str
    score: str
    threshold: str
    effect: str
    drifted: bool | None
    quality: str
    bad_quality: bool
    line: Sparkline | None


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One performance measure, now and on the reference."""

    name: str
    now: str
    reference: str


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment: how many rows, the headline measure, and the verdicts on it by their titles."""

    name: str
    rows: str
    now: str
    estimated: str
    reference: str
    verdicts: Sequence[tuple[str, Badge]]


@dataclass(frozen=True)
class PerformanceSection:
    """How well the model does: its headline measure over time, and all measures now."""

    headline: str
    chart: Chart | None
    measures: Sequence[MeasureRow]


@dataclass(frozen=True)
class ModelCard:
    """One model on the page; before its first evaluation it has no more than facts."""

    name: str
    version: str
    badges: Sequence[Badge]
    facts: Sequence[tuple[str, str]]
    has_rows: bool
    notes: Sequence[tuple[str, str]] = ()
    """For which rows the thresholds hold, and which were not compared."""

    features: Sequence[FeatureRow] = ()
    verdicts: Sequence[tuple[str, Badge]] = ()
    performance: PerformanceSection | None = None
    segments: Sequence[SegmentRow] = ()
    errors: Sequence[tuple[str, str]] = ()


def card(state: MonitorState, min_rows: int, now: datetime) -> ModelCard:
    """The card of a model, also when there is nothing to show yet."""
    snapshot, latest = state.snapshot, state.latest
    manifest, rows = snapshot.monitored.manifest, len(snapshot.rows.predictions)
    facts = [("Window", f"{rows:,} rows")]
    if snapshot.rows.start:
        facts.append(("Oldest row", age(now, snapshot.rows.start)))
    if snapshot.rows.other_versions:
        facts.append(("Other versions", f"{snapshot.rows.other_versions:,} rows"))
    if latest is None:
        facts.append(("Evaluation", waiting_reason(snapshot, min_rows)))
        return ModelCard(manifest.name, manifest.version, [Badge("no evaluation yet", "quiet")], facts, rows > 0)
    evaluation = latest.evaluation
    return ModelCard(
        name=manifest.name,
        version=manifest.version,
        badges=_badges(evaluation, state.verdicts),
        facts=[*facts, *_facts(latest, now)],
        notes=list(evaluation.notes.items()),
        has_rows=rows > 0,
        features=_features(evaluation, state.history),
        verdicts=_verdicts(state.verdicts),
        performance=_performance(evaluation, state.history, manifest.task),
        segments=[_segment(name, evaluation, manifest.task) for name in evaluation.segments],
        errors=sorted({**latest.monitored.unknowable, **evaluation.undefined, **evaluation.errors}.items()),
    )


def _badges(evaluation: Evaluation, verdicts: Sequence[Verdict]) -> list[Badge]:
    """Each kind of verdict that alarms, after the word that there is no drift, or no verdict on it."""
    found = [Badge(kind.title.lower(), "bad") for kind, _ in alarms(verdicts)]
    if evaluation.dataset_drift:
        return found
    if evaluation.dataset_drift is not None:
        return [Badge("no drift", "good"), *found]
    scores_only = "scores only" if evaluation.order == "too short" else NOT_CALIBRATED
    return [Badge("no verdict" if evaluation.calibrated else scores_only, "quiet"), *found]


def _verdicts(verdicts: Sequence[Verdict]) -> list[tuple[str, Badge]]:
    """The verdicts on the model, and the detected ones on its columns; drift and segments have their own rows."""
    return [
        (f"{kind.title} of {verdict.subject}" if verdict.subject else kind.title, _badge(verdict))
        for verdict in verdicts
        if (kind := BY_NAME[verdict.name]).name not in (DRIFT, DATASET_DRIFT)
        and not verdict.segment
        and (verdict.detected or not verdict.column)
    ]


def _badge(verdict: Verdict) -> Badge:
    return Badge(in_words(verdict), "quiet" if verdict.detected is None else "bad" if verdict.detected else "good")


def _facts(latest: WindowEvaluation, now: datetime) -> list[tuple[str, str]]:
    evaluation, window = latest.evaluation, latest.window
    facts = [
        ("Last evaluation", age(now, latest.evaluated_at)),
        ("Labelled", f"{evaluation.label_coverage:.0%} ({evaluation.labelled_rows:,} rows)"),
    ]
    if window.label_delay is not None:
        facts.append(("Label delay", duration(window.label_delay)))
    if window.rows_per_second is not None:
        facts.append(("Pace", pace(window.rows_per_second)))
    if window.duplicate_ratio:
        facts.append(("Repeated rows", f"{window.duplicate_ratio:.1%}"))
    return facts


def _features(evaluation: Evaluation, history: Sequence[WindowEvaluation]) -> list[FeatureRow]:
    bad = {verdict.column for verdict in evaluation.of(DATA_QUALITY) if verdict.detected}
    return [
        FeatureRow(
            name=column.column,
            method=column.method,
            score=number(column.value),
            threshold=_threshold(evaluation, column),
            effect=" · ".join(filter(None, (column.effect.in_words() if column.effect else "", column.reason))),
            drifted=column.detected,
            quality=_quality(evaluation.quality.get(column.column)),
            bad_quality=column.column in bad,
            line=sparkline(_shares(column.column, history)),
        )
        for column in evaluation.of(DRIFT)
        if column.value is not None
    ]


def _threshold(evaluation: Evaluation, column: Verdict) -> str:
    if column.threshold is not None:
        return f"of {number(column.threshold)}"
    return "no threshold" if evaluation.calibrated or evaluation.order == "too short" else "of not yet"


def _shares(name: str, history: Sequence[WindowEvaluation]) -> list[float]:
    columns = (before.evaluation.verdict(DRIFT, column=name) for before in history)
    return [column.threshold_ratio for column in columns if column and column.threshold_ratio is not None]


def _quality(quality: ColumnQuality | None) -> str:
    if quality is None:
        return ""
    shares = {
        "missing": quality.missing_ratio,
        "out of range": quality.out_of_range_ratio,
        "unseen": quality.unseen_category_ratio,
    }
    return ", ".join(f"{share:.1%} {name}" for name, share in shares.items() if share)


def _performance(
    evaluation: Evaluation, history: Sequence[WindowEvaluation], task: Task
) -> PerformanceSection | None:
    now, then = evaluation.measures[ALL_ROWS], evaluation.reference_measures[ALL_ROWS]
    if not now:
        return None
    return PerformanceSection(
        headline=TITLES[task],
        chart=_course(history, HEADLINE[task], then.get(HEADLINE[task])),
        measures=[
            MeasureRow(name.replace("_", " "), number(value), number(then.get(name)))
            for name, value in now.items()
        ],
    )


def _course(history: Sequence[WindowEvaluation], measure: str, reference: float | None) -> Chart | None:
    """The measure over time, realised and estimated."""
    if not reference:
        return None
    names = {"realised": measure, "estimated": ESTIMATED + measure}
    lines = {
        line: _known([(o.evaluated_at, o.evaluation.measures[ALL_ROWS].get(name)) for o in history])
        for line, name in names.items()
    }
    over = (history[0].evaluated_at, history[-1].evaluated_at)
    return line_chart({name: points for name, points in lines.items() if points}, level=reference, over=over)


def _known(points: Sequence[tuple[datetime, float | None]]) -> Points:
    return [(at, value) for at, value in points if value is not None]


def _segment(name: str, evaluation: Evaluation, task: Task) -> SegmentRow:
    now, reference, measure = evaluation.measures[name], evaluation.reference_measures[name], HEADLINE[task]
    kinds = [kind for kind in KINDS if "segment" in kind.labels]
    found = [(kind.title, verdict) for kind in kinds if (verdict := evaluation.verdict(kind.name, segment=name))]
    return SegmentRow(
        name=name,
        rows=f"{evaluation.segments[name].rows:,}",
        now=number(now.get(measure)),
        estimated=number(now.get(ESTIMATED + measure)),
        reference=number(reference.get(measure)),
        verdicts=[(title, _badge(verdict)) for title, verdict in found],
    )
