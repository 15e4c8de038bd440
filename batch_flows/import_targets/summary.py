"""The rows of an import by outcome, summarised as a sentence, a table and Markdown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from sextant.contracts.events import Target
from sextant.contracts.target_rows import CheckedTarget

FLOW = "import-targets"


class ImportOutcome(StrEnum):
    """What becomes of a usable row."""

    ADDED = "added"
    SAME = "already there"
    REPLACED = "replaced another value"
    LEFT = "left as stored, with another value"
    SKIPPED = "left out"


STORES = frozenset({ImportOutcome.ADDED, ImportOutcome.REPLACED})
Kind = Literal["matched", "unknown"]
Counts = Counter[tuple[Kind, ImportOutcome]]


@dataclass(frozen=True, slots=True)
class ImportRules:
    """The options of one import; `moment` is when it began, and when rows without a time count as received."""

    model: str
    moment: datetime
    replace: bool = False
    skip_unknown: bool = False


def outcome_of(row: CheckedTarget, stored: Target | None, rules: ImportRules, *, matched: bool) -> ImportOutcome:
    """What to do with a row: the value received later counts, and the same file again changes nothing.

    A row that does not say when it was received replaces no other value, unless the rules say that it is
    received now.
    """
    if not matched and rules.skip_unknown:
        return ImportOutcome.SKIPPED
    if stored is None:
        return ImportOutcome.ADDED
    if stored.target == row.target:
        return ImportOutcome.SAME
    received_at = row.received_at or (rules.moment if rules.replace else None)
    return ImportOutcome.REPLACED if received_at and received_at > stored.received_at else ImportOutcome.LEFT


def as_target(row: CheckedTarget, rules: ImportRules) -> Target:
    """The document that a row becomes."""
    return Target(row.prediction_id, rules.model, row.target, row.received_at or rules.moment)


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
        """Rows whose prediction has a target in MongoDB now."""
        return self.matched + self.unknown - self.counts["unknown", ImportOutcome.SKIPPED]

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
            for outcome in ImportOutcome
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
            for outcome in ImportOutcome
            if outcome is not ImportOutcome.ADDED and self.counts[kind, outcome]
        ]
        return f"{self._total(kind):,} {kind}" + (f" ({', '.join(details)})" if details else "")

    def _ignored(self) -> str:
        """How many columns: their names are content of the file, which no message quotes."""
        count = len(self.ignored_columns)
        return f"; {count} other column{'s' * (count > 1)} ignored" if count else ""
