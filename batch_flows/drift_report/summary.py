"""What a drift report found, in the forms that people and programs read: facts, sentence, table and document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batch_flows.drift_report.rows import EvaluatedRows
from batch_flows.reports.record import ReportRecord
from batch_flows.time_range import TimeRange
from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.verdict import as_dicts

if TYPE_CHECKING:
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
            **self.evaluation.notes,
            "Label coverage": self._label_coverage(),
            "Dataset drift": self._verdict(),
            "Performance": self._measures(estimated=False),
            "Estimated performance": self._estimate(),
            **self._verdicts(),
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
        """A row for each verdict, for a table that people read."""
        columns = ("name", "subject", "value", "threshold", "threshold_ratio", "detected", "method")
        return [{name: getattr(verdict, name) for name in columns} for verdict in self.evaluation.verdicts]

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
            "thresholds": {"order": found.order, "hold": found.holds},
            "rows_without_time": found.rows_without_time,
            "unsupported_rows": found.unsupported_rows,
            "verdicts": as_dicts(found.verdicts),
            "performance": found.measures[""],
            "reference_performance": found.reference_measures[""],
            "segments": [
                {
                    "segment": name,
                    **asdict(size),
                    "performance": found.measures[name],
                    "reference_performance": found.reference_measures[name],
                }
                for name, size in found.segments.items()
            ],
            "label_coverage_ratio": found.label_coverage,
            "predictions_in_window": self.rows.predictions,
            "predictions_of_other_versions": sum(self.rows.other_versions.values()),
            "documents_skipped": self.rows.skipped,
            "errors": dict(found.errors),
        }

    def status(self) -> dict[str, str]:
        """The verdicts in a few words, and whether they are good, bad or none, for a list of reports."""
        from sextant.evaluation.verdict_words import alarms

        if found := alarms(self.evaluation.verdicts):
            return {"text": "; ".join(kind.title.lower() for kind, _ in found), "kind": "bad"}
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

    def _verdicts(self) -> dict[str, str]:
        """A fact for each kind of verdict beside dataset drift: what is detected, or what it says of the model."""
        from sextant.evaluation.verdict_words import in_words
        from sextant.evaluation.verdicts import DATASET_DRIFT, KINDS

        facts = {}
        for kind in KINDS:
            if kind.name == DATASET_DRIFT or kind.summed_up_by:
                continue
            verdicts = self.evaluation.of(kind.name)
            told = [v for v in verdicts if v.detected or not v.subject]
            words = "; ".join(f"{v.subject}: {in_words(v)}" if v.subject else in_words(v) for v in told)
            judged = sum(v.detected is not None for v in verdicts)
            facts[kind.title] = words or (f"{kind.no} in {judged:,} judged" if judged else "")
        return facts

    def _estimate(self) -> str:
        return self._measures(estimated=True) if self.no_estimate is None else f"none: {self.no_estimate}"

    def _measures(self, *, estimated: bool) -> str:
        from sextant.evaluation.performance.estimation import ALL_ROWS, ESTIMATED

        now, reference = self.evaluation.measures[ALL_ROWS], self.evaluation.reference_measures[ALL_ROWS]
        return _beside({name: now[name] for name in now if name.startswith(ESTIMATED) is estimated}, reference)

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
