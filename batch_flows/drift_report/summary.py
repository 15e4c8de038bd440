"""What a drift report found, in the forms that people and programs read: facts, sentence, table and document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batch_flows.drift_report.rows import EvaluatedRows
from batch_flows.drift_report.verdicts import verdict_facts, verdict_metrics
from batch_flows.reports.record import ReportRecord
from batch_flows.time_range import TimeRange
from sextant.contracts.model_bundle import Manifest

if TYPE_CHECKING:
    from sextant.evaluation.by_segment import SegmentEvaluation
    from sextant.evaluation.evaluate import Evaluation

FLOW = "drift-report"


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """One report: what was asked, what was read and what was found."""

    manifest: Manifest
    window: TimeRange
    rows: EvaluatedRows
    evaluation: "Evaluation"
    no_estimate: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What a reader must know before any score: what the report is about, and what it leaves out."""
        facts = {
            "Model": f"{self.manifest.name}, version {self.manifest.version}",
            "Window": str(self.window),
            "Predictions": f"{self.rows.predictions:,}",
            "Evaluated": self._evaluated(),
            "Label coverage": self._label_coverage(),
            "Dataset drift": self._verdict(),
            "Segments": self._segments(),
            "Performance": self._performance(),
            "Estimated performance": self._estimate(),
            **verdict_facts(self.evaluation),
            "Left out": self._left_out(),
            "Skipped": self._skipped(),
            "Not judged": "; ".join(f"{column} ({reason})" for column, reason in self.evaluation.errors.items()),
            "Make it again": self._command(),
        }
        return {name: fact for name, fact in facts.items() if fact}

    def sentence(self) -> str:
        """The finding in one line."""
        return (
            f"{self.manifest.name} version {self.manifest.version}, {self.window}: "
            f"dataset drift: {self._verdict()}, in {self.rows.rows:,} predictions"
        )

    def scores(self) -> list[dict[str, Any]]:
        """A row for each column: its drift score against its threshold."""
        return [
            {
                "column": drift.column,
                "method": drift.method,
                "score": drift.score,
                "threshold": drift.threshold,
                "drifted": drift.drifted,
            }
            for drift in self.evaluation.drift.values()
        ]

    def record(self, created_at: datetime) -> ReportRecord:
        """What is kept of the report; the same window of the same version is the same report, made again."""
        report_id = f"{FLOW}_{self.manifest.name}_{self.manifest.version}_{self.window.slug}"
        return ReportRecord(
            id=report_id,
            flow=FLOW,
            model=self.manifest.name,
            model_version=self.manifest.version,
            window=self.window,
            rows=self.evaluation.rows,
            rows_with_target=self.evaluation.labelled_rows,
            created_at=created_at,
            metrics=self._metrics(),
            html=f"{report_id}.html",
        )

    def _metrics(self) -> dict[str, Any]:
        found = self.evaluation
        return {
            "status": self.status(),
            "dataset_drift": found.dataset_drift,
            "drifted_features": len(found.drifted_columns),
            "drifted_features_ratio": found.drifted_ratio,
            "drift": {row["column"]: row for row in self.scores()},
            "performance": {**found.performance.measures, **found.estimated},
            "reference_performance": {**found.reference_performance.measures, **found.reference_estimated},
            **verdict_metrics(found),
            "segments": [segment_row(name, segment) for name, segment in found.segments.items()],
            "label_coverage_ratio": found.label_coverage,
            "predictions_in_window": self.rows.predictions,
            "predictions_of_other_versions": sum(self.rows.other_versions.values()),
            "documents_skipped": self.rows.skipped,
            "errors": dict(found.errors),
        }

    def status(self) -> dict[str, str]:
        """The verdicts in a few words, and whether they are good, bad or none, for a list of reports."""
        from sextant.evaluation.alarms import other_alarms

        alarms = [*(["drift"] if self.evaluation.dataset_drift else []), *other_alarms(self.evaluation)]
        if alarms:
            return {"text": "; ".join(alarms), "kind": "bad"}
        if self.evaluation.dataset_drift is None:
            return {"text": "not judged", "kind": "quiet"}
        return {"text": "no drift", "kind": "good"}

    def _verdict(self) -> str:
        if self.evaluation.dataset_drift is None:
            return "not judged"
        drifted = ", ".join(self.evaluation.drifted_columns)
        return f"yes ({drifted})" if drifted else "no"

    def _evaluated(self) -> str:
        return f"a uniform sample of {self.rows.rows:,}" if self.rows.sampled else "all of them"

    def _label_coverage(self) -> str:
        of = " of the sample" if self.rows.sampled else ""
        return f"{self.evaluation.label_coverage:.1%}{of} ({self.evaluation.labelled_rows:,} targets)"

    def _segments(self) -> str:
        segments = self.evaluation.segments
        drifted = [name for name, segment in segments.items() if segment.drifted]
        return f"{len(segments)}, drifted: {', '.join(drifted) or 'none'}" if segments else ""

    def _performance(self) -> str:
        return _beside(self.evaluation.performance.measures, self.evaluation.reference_performance.measures)

    def _estimate(self) -> str:
        if self.no_estimate is not None:
            return f"none: {self.no_estimate}"
        return _beside(self.evaluation.estimated, self.evaluation.reference_estimated)

    def _left_out(self) -> str:
        counts = (f"{count:,} of version {version}" for version, count in sorted(self.rows.other_versions.items()))
        listed = ", ".join(counts)
        return f"predictions of other versions: {listed}" if listed else ""

    def _skipped(self) -> str:
        skipped, example = self.rows.skipped, self.rows.skipped_example
        return f"{skipped:,} document(s) that are no predictions or targets (first: {example})" if skipped else ""

    def _command(self) -> str:
        model = f"--model {self.manifest.name} --model-version {self.manifest.version}"
        window = f"--start {self.window.start.isoformat()} --end {self.window.end.isoformat()}"
        return f"python -m batch_flows.drift_report {model} {window}"


def segment_row(name: str, segment: "SegmentEvaluation") -> dict[str, Any]:
    """One segment as it is stored: how many rows, what drifted, and how well the model did or is expected to."""
    return {
        "segment": name,
        "rows": segment.rows,
        "drifted": segment.drifted,
        "drifted_columns": segment.drifted_columns,
        "fairness_gap": asdict(segment.fairness_gap) if segment.fairness_gap else None,
        "measures": {**segment.performance.measures, **segment.estimated},
        "reference_measures": {**segment.reference_performance.measures, **segment.reference_estimated},
    }


def nothing_found(manifest: Manifest, window: TimeRange, rows: EvaluatedRows) -> str:
    """Why there is no report, and what lies in the window instead."""
    instead = {"of other versions": sum(rows.other_versions.values()), "skipped": rows.skipped}
    hints = ", ".join(f"{count:,} {what}" for what, count in instead.items() if count)
    found = f"no predictions of {manifest.name} version {manifest.version} from {window}"
    return f"{found}{f' ({hints})' if hints else ''}, so there is no report"


def of_all_models(messages: Mapping[str, str], failed: Sequence[str]) -> str:
    """One message for several models: each with what became of its report, those that failed first."""
    ranked = sorted(messages, key=lambda model: (model not in failed, model))
    listed = "; ".join(f"{model}{' failed' if model in failed else ''}: {messages[model]}" for model in ranked)
    return f"{len(messages) - len(failed)} of {len(messages)} models done. {listed}"


def _beside(measures: Mapping[str, float], reference: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}{_expected(reference.get(name))}" for name, value in measures.items())


def _expected(value: float | None) -> str:
    return "" if value is None else f" (reference {value:.4g})"
