"""What an import of targets did, in the forms that people read: sentence, table and markdown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from batch_flows.import_targets.merge import STORES, Outcome

FLOW = "import-targets"
Kind = Literal["matched", "unknown"]
Counts = Counter[tuple[Kind, Outcome]]


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """One import: rows = matched + unknown + malformed + repeated."""

    path: Path
    model: str
    rows: int
    malformed: int
    repeated: int
    counts: Counts
    rejects: Path
    ignored_columns: Sequence[str] = ()

    @property
    def matched(self) -> int:
        """Rows whose prediction is stored."""
        return self._total("matched")

    @property
    def unknown(self) -> int:
        """Rows whose prediction is not stored, or not yet."""
        return self._total("unknown")

    @property
    def usable(self) -> int:
        """Rows that are in MongoDB now, or have a counterpart there."""
        return self.matched + self.unknown - self.counts["unknown", Outcome.SKIPPED]

    @property
    def written(self) -> int:
        """Documents that the import added or replaced."""
        return sum(number for (_, outcome), number in self.counts.items() if outcome in STORES)

    @property
    def artifact_key(self) -> str:
        """Prefect allows small letters, digits and dashes."""
        return f"{FLOW}-{self.model}".replace("_", "-")

    def sentence(self) -> str:
        """All counts in one line."""
        parts = [self._part("matched"), self._part("unknown")]
        parts.append(f"{self.malformed:,} malformed" + (f" (see {self.rejects})" if self.malformed else ""))
        if self.repeated:
            parts.append(f"{self.repeated:,} repeated in the file")
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{rows}: {', '.join(parts)}{self._ignored()}"

    def table(self) -> list[dict[str, Any]]:
        """One line for each count that is not zero."""
        found = [
            {"rows": kind, "outcome": str(outcome), "count": self.counts[kind, outcome]}
            for kind in ("matched", "unknown")
            for outcome in Outcome
        ]
        found.append({"rows": "malformed", "outcome": "rejected", "count": self.malformed})
        found.append({"rows": "repeated", "outcome": "the last one counts", "count": self.repeated})
        return [line for line in found if line["count"]]

    def markdown(self) -> str:
        """What the flow run's page says."""
        lines = [f"# Targets of {self.model}", "", f"From `{self.path}`: {self.sentence()}.", ""]
        lines += ["| rows | outcome | count |", "| --- | --- | ---: |"]
        lines += [f"| {line['rows']} | {line['outcome']} | {line['count']:,} |" for line in self.table()]
        return "\n".join(lines) + "\n"

    def _total(self, kind: Kind) -> int:
        return sum(number for (of_kind, _), number in self.counts.items() if of_kind == kind)

    def _part(self, kind: Kind) -> str:
        details = [
            f"{self.counts[kind, outcome]:,} {outcome}"
            for outcome in Outcome
            if outcome is not Outcome.ADDED and self.counts[kind, outcome]
        ]
        return f"{self._total(kind):,} {kind}" + (f" ({', '.join(details)})" if details else "")

    def _ignored(self) -> str:
        return f"; ignored columns: {', '.join(self.ignored_columns)}"[:300] if self.ignored_columns else ""
