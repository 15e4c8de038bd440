"""What a drift report found, in the forms that people and programs read: facts, sentence, table and document."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batch_flows.steps import WindowRows
from batch_flows.window import Window
from contracts.model_bundle import Manifest

if TYPE_CHECKING:
    from evaluation.evaluate import Evaluation

FLOW = "drift-report"


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """One report: what was asked, what was read and what was found."""

    manifest: Manifest
    window: Window
    rows: WindowRows
    evaluation: "Evaluation"

    @property
    def report_id(self) -> str:
        """The same window of the same version is the same report, made again."""
        return f"{FLOW}_{self.manifest.name}_{self.manifest.version}_{self.window.slug}"

    @property
    def html_name(self) -> str:
        """The report's file, relative to the reports folder."""
        return f"{self.report_id}.html"

    @property
    def artifact_key(self) -> str:
        """Prefect allows small letters, digits and dashes."""
        return f"{FLOW}-{self.manifest.name}".replace("_", "-")

    @property
    def facts(self) -> dict[str, str]:
        """What a reader must know before any score: what the report is about, and what it leaves out."""
        facts = {
            "Model": f"{self.manifest.name}, version {self.manifest.version}",
            "Window": str(self.window),
            "Predictions": f"{self.rows.predictions:,}",
            "Evaluated": self._evaluated(),
            "Label coverage": f"{self.evaluation.label_coverage:.1%} ({self.evaluation.labelled_rows:,} targets)",
            "Dataset drift": self._verdict(),
        }
        if self.rows.other_versions:
            left_out = (f"{count:,} of version {version}" for version, count in self.rows.other_versions.items())
            facts["Left out"] = f"predictions of other versions: {', '.join(left_out)}"
        if self.evaluation.errors:
            reasons = (f"{column} ({reason})" for column, reason in self.evaluation.errors.items())
            facts["Not judged"] = "; ".join(reasons)
        return facts

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

    def markdown(self, link: str) -> str:
        """The summary for the flow run's page, with a link to the report."""
        facts = "\n".join(f"| {name} | {value} |" for name, value in self.facts.items())
        return f"[Open the report]({link})\n\n| | |\n| --- | --- |\n{facts}\n"

    def document(self, created_at: datetime) -> dict[str, Any]:
        """The report as it is stored in MongoDB's `reports`."""
        return {
            "_id": self.report_id,
            "flow": FLOW,
            "model": self.manifest.name,
            "model_version": self.manifest.version,
            "window": {"start": self.window.start, "end": self.window.end},
            "rows": self.evaluation.rows,
            "rows_with_target": self.evaluation.labelled_rows,
            "created_at": created_at,
            "metrics": self._metrics(),
            "html": self.html_name,
        }

    def _metrics(self) -> dict[str, Any]:
        found = self.evaluation
        return {
            "dataset_drift": found.dataset_drift,
            "drifted_features": len(found.drifted_columns),
            "drifted_features_ratio": found.drifted_ratio,
            "drift": {row["column"]: row for row in self.scores()},
            "performance": dict(found.performance.measures),
            "reference_performance": dict(found.reference_performance.measures),
            "concept_drift_ratio": found.concept_drift.ratio if found.concept_drift else None,
            "label_coverage_ratio": found.label_coverage,
            "predictions_in_window": self.rows.predictions,
            "predictions_of_other_versions": sum(self.rows.other_versions.values()),
            "errors": dict(found.errors),
        }

    def _verdict(self) -> str:
        if self.evaluation.dataset_drift is None:
            return "not judged"
        drifted = ", ".join(self.evaluation.drifted_columns)
        return f"yes ({drifted})" if drifted else "no"

    def _evaluated(self) -> str:
        if self.rows.rows == self.rows.predictions:
            return "all of them"
        return f"a uniform sample of {self.rows.rows:,}"
