"""What the live page shows of each model, in words and numbers ready for its template."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluation.drift import ColumnDrift
from evaluation.evaluate import Evaluation
from evaluation.quality import ColumnQuality
from monitoring_service.model_monitor import ModelMonitor, Outcome
from monitoring_service.sparkline import Sparkline, draw
from monitoring_service.views import waiting_reason


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One column of the model: its score against its threshold, now and before."""

    name: str
    method: str
    score: str
    threshold: str
    drifted: bool | None
    quality: str
    line: Sparkline | None


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One performance measure, now and on the reference."""

    name: str
    now: str
    reference: str


@dataclass(frozen=True)
class ModelCard:
    """One model on the page."""

    name: str
    version: str
    badge: str
    badge_kind: str
    facts: Sequence[tuple[str, str]]
    features: Sequence[FeatureRow]
    measures: Sequence[MeasureRow]
    errors: Sequence[tuple[str, str]]
    has_rows: bool


def card(monitor: ModelMonitor, min_rows: int, now: datetime) -> ModelCard:
    """The card of a model, also when there is nothing to show yet."""
    latest, snapshot = monitor.latest, monitor.snapshot()
    rows = len(snapshot.rows.predictions)
    facts = [("Window", f"{rows:,} rows")]
    if snapshot.rows.start:
        facts.append(("Oldest row", _age(now, snapshot.rows.start)))
    if snapshot.rows.other_versions:
        facts.append(("Other versions", f"{snapshot.rows.other_versions:,} rows"))
    version = snapshot.subject.manifest.version
    if latest is None:
        facts.append(("Evaluation", waiting_reason(monitor, min_rows)))
        return ModelCard(monitor.name, version, "no evaluation yet", "quiet", facts, [], [], [], rows > 0)
    evaluation = latest.evaluation
    return ModelCard(
        name=monitor.name,
        version=version,
        badge=_badge(evaluation),
        badge_kind={None: "quiet", True: "bad", False: "good"}[evaluation.dataset_drift],
        facts=[*facts, *_facts(latest, now)],
        features=_features(latest, monitor.history),
        measures=_measures(evaluation),
        errors=sorted({**evaluation.performance.errors, **evaluation.errors}.items()),
        has_rows=rows > 0,
    )


def _badge(evaluation: Evaluation) -> str:
    if evaluation.dataset_drift is None:
        return "no verdict" if evaluation.calibrated else "not calibrated yet"
    return "drift" if evaluation.dataset_drift else "no drift"


def _facts(latest: Outcome, now: datetime) -> list[tuple[str, str]]:
    evaluation = latest.evaluation
    facts = [
        ("Last evaluation", _age(now, latest.evaluated_at)),
        ("Labelled", f"{evaluation.label_coverage:.0%} ({evaluation.labelled_rows:,} rows)"),
    ]
    if latest.label_delay is not None:
        facts.append(("Label delay", _duration(latest.label_delay)))
    if evaluation.concept_drift_ratio is not None:
        facts.append(("Error against reference", f"{evaluation.concept_drift_ratio:+.0%}"))
    return facts


def _features(latest: Outcome, history: Sequence[Outcome]) -> list[FeatureRow]:
    return [
        FeatureRow(
            name=column.column,
            method=column.method,
            score=_number(column.score),
            threshold="not yet" if column.threshold is None else _number(column.threshold),
            drifted=column.drifted,
            quality=_quality(latest.evaluation.quality.get(column.column)),
            line=draw(_shares(column.column, history)),
        )
        for column in latest.evaluation.drift.values()
    ]


def _shares(name: str, history: Sequence[Outcome]) -> list[float]:
    columns = (outcome.evaluation.drift.get(name) for outcome in history)
    return [_share(column) for column in columns if column and column.threshold_severity]


def _share(column: ColumnDrift) -> float:
    return column.severity / column.threshold_severity if column.threshold_severity else 0.0


def _quality(quality: ColumnQuality | None) -> str:
    if quality is None:
        return ""
    shares = {
        "missing": quality.missing_ratio,
        "out of range": quality.out_of_range_ratio,
        "unseen": quality.unseen_category_ratio,
    }
    return ", ".join(f"{share:.1%} {name}" for name, share in shares.items() if share)


def _measures(evaluation: Evaluation) -> list[MeasureRow]:
    reference = evaluation.reference_performance.measures
    return [
        MeasureRow(name, _number(value), _number(reference[name]) if name in reference else "unknown")
        for name, value in evaluation.performance.measures.items()
    ]


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _age(now: datetime, moment: datetime) -> str:
    return f"{_duration((now - moment).total_seconds())} ago"


def _duration(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
