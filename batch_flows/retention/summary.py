"""What retention did, or would do, in the forms that people read: a sentence and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batch_flows.retention.plan import AgeLimits, Deleted, Gap, Kept

NAMED_GAPS = 3
LISTED_GAPS = 50


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """One model: what goes and what stays of its old predictions."""

    model: str
    deleted: Deleted
    kept: Kept

    @property
    def found(self) -> bool:
        """Whether there was any old prediction."""
        return bool(self.deleted.predictions or self.kept.uncovered or self.kept.in_window)


@dataclass(frozen=True, slots=True)
class Pruned:
    """Old reports: pages that go, and documents whose file name was refused because it leads elsewhere."""

    pages: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class RetentionSummary:
    """One run of retention over some models and their reports."""

    limits: AgeLimits
    models: Sequence[ModelOutcome]
    pruned: Pruned
    applied: bool

    @property
    def found(self) -> bool:
        """Whether there was anything old."""
        return any(model.found for model in self.models) or self.pruned != Pruned()

    def sentence(self) -> str:
        """The outcome in one line."""
        parts = [self._of_model(outcome) for outcome in self.models if outcome.found] + self._of_reports()
        return ("" if self.applied else "dry run: ") + ("; ".join(parts) or self._nothing())

    def markdown(self) -> str:
        """Tables for the flow run's page: the models, and the gaps that no report covers."""
        rows = [
            f"| {o.model} | {o.deleted.predictions:,} | {o.deleted.targets:,} "
            f"| {o.kept.uncovered:,} | {o.kept.in_window:,} |"
            for o in self.models
        ]
        title = "Deleted" if self.applied else "Dry run: would be deleted"
        head = (
            f"{title}, of what was made before {_time(self.limits.predictions)}; {self.pruned.pages:,} old reports"
        )
        columns = "| model | predictions | targets | kept: no report covers them | kept for monitoring's window |"
        return "\n".join([head, "", columns, "| --- | --- | --- | --- | --- |", *rows, *self._gap_table()]) + "\n"

    def _of_model(self, outcome: ModelOutcome) -> str:
        made = f"of {outcome.model} made before {_time(self.limits.predictions)}"
        parts = [f"{self._verb} {_amount(outcome.deleted)} {made}"]
        if outcome.kept.uncovered:
            parts.append(f"keeps {outcome.kept.uncovered:,} that no report covers ({_named(outcome.kept.gaps)})")
        if outcome.kept.in_window:
            parts.append(f"keeps {outcome.kept.in_window:,} for monitoring's window")
        return ", ".join(parts)

    def _of_reports(self) -> list[str]:
        parts = []
        if self.pruned.pages and self.limits.reports:
            parts.append(
                f"{self._verb} {_count(self.pruned.pages, 'report')} from before {_time(self.limits.reports)}"
            )
        if self.pruned.refused:
            parts.append(f"leaves {_count(self.pruned.refused, 'report')} whose file is not a page in the folder")
        return parts

    def _nothing(self) -> str:
        return f"nothing was made before {_time(self.limits.predictions)}, and no report is too old"

    def _gap_table(self) -> list[str]:
        gaps = [(outcome.model, gap) for outcome in self.models for gap in outcome.kept.gaps]
        if not gaps:
            return []
        rows = [
            f"| {model} | {gap.version} | {_time(gap.first)} | {_time(gap.last)} | {gap.predictions:,} |"
            for model, gap in gaps[:LISTED_GAPS]
        ]
        more = [f"\n… and {len(gaps) - LISTED_GAPS:,} more"] if len(gaps) > LISTED_GAPS else []
        head = ["", "No report covers:", "", "| model | version | from | to | predictions |"]
        return [*head, "| --- | --- | --- | --- | --- |", *rows, *more]

    @property
    def _verb(self) -> str:
        return "deleted" if self.applied else "would delete"


def interruption(reason: str, deleted: Mapping[str, Deleted]) -> str:
    """Why retention stopped, and what it had deleted before; a batch without an answer may be gone too."""
    done = [f"{_amount(tally)} of {model}" for model, tally in deleted.items() if tally.predictions]
    if not done:
        return reason
    return f"{reason}; before that it deleted at least {', '.join(done)}: run it again for the rest"


def _amount(tally: Deleted) -> str:
    return f"{_count(tally.predictions, 'prediction')} and {_count(tally.targets, 'target')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _named(gaps: Sequence[Gap]) -> str:
    named = [
        f"version {gap.version or 'unknown'}: {gap.predictions:,} from {_time(gap.first)} to {_time(gap.last)}"
        for gap in gaps[:NAMED_GAPS]
    ]
    more = [f"and {len(gaps) - NAMED_GAPS:,} more gaps"] if len(gaps) > NAMED_GAPS else []
    return "; ".join(named + more)


def _time(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
