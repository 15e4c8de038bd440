"""What an import makes of a target, given what MongoDB holds: the one received later counts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from batch_flows.import_targets.rows import CheckedRow
from sextant.contracts.events import Target


class Outcome(StrEnum):
    """What becomes of a usable row."""

    ADDED = "added"
    SAME = "already there"
    REPLACED = "replaced another value"
    LEFT = "left as stored, with another value"
    SKIPPED = "left out"


STORES = frozenset({Outcome.ADDED, Outcome.REPLACED})


@dataclass(frozen=True, slots=True)
class ImportRules:
    """How one import decides; `moment` is when it began, and when rows without a time are received."""

    model: str
    moment: datetime
    replace: bool = False
    skip_unknown: bool = False


def outcome_of(row: CheckedRow, stored: Target | None, rules: ImportRules, *, matched: bool) -> Outcome:
    """What to do with a row, so that the same file again changes nothing.

    A row that does not say when it was received replaces no other value, unless the rules have it that it is
    received now.
    """
    if not matched and rules.skip_unknown:
        return Outcome.SKIPPED
    if stored is None:
        return Outcome.ADDED
    if stored.target == row.target:
        return Outcome.SAME
    received_at = row.received_at or (rules.moment if rules.replace else None)
    return Outcome.REPLACED if received_at and received_at > stored.received_at else Outcome.LEFT


def as_target(row: CheckedRow, rules: ImportRules) -> Target:
    """The document that a row becomes."""
    return Target(row.prediction_id, rules.model, row.target, row.received_at or rules.moment)
