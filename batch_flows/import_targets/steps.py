"""The edges of an import of targets, each a step: the input, the reject file and MongoDB."""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from batch_flows.import_targets.staging import Staging, remove_reject_file, write_reject_file
from batch_flows.import_targets.summary import (
    STORES,
    Counts,
    ImportRules,
    ImportSummary,
    as_target,
    outcome_of,
)
from batch_flows.orchestration.steps import is_recorded, run_logger, step
from sextant.contracts.model_bundle import Manifest
from sextant.contracts.target_rows import CheckedTarget, RejectedTarget, TargetSchema, check_rows
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings
from sextant.infrastructure.target_files import open_target_file

CHUNK = 5_000
PART = 100_000
"""Targets that one task stores: few enough to be retried, many enough that the page of tasks stays readable."""


@dataclass(frozen=True, slots=True)
class FileRead:
    """What a file holds: its rows, how many predictions they are about, and how it names rows and columns."""

    rows: int
    targets: int
    malformed: int
    counted_in: str
    ignored_columns: Sequence[str]

    @property
    def repeated(self) -> int:
        """Rows that a later one of the same prediction replaces."""
        return self.rows - self.targets - self.malformed


@step(name="Read file of targets", minutes=120)
def read_file(path: Path, manifest: Manifest, moment: datetime, staged: Path) -> FileRead:
    """Check and stage every row before the first is stored; raises Rejected when the file cannot be read."""
    file = open_target_file(path)
    staged.unlink(missing_ok=True)  # of an attempt that failed
    schema, rows = TargetSchema(manifest.name, manifest.task, manifest.classes), 0
    with Staging(staged) as staging:
        for chunk in file.chunks(CHUNK):
            checked, rejected = check_rows(chunk, schema, moment)
            staging.add(checked)
            staging.reject(rejected)
            rows += len(chunk)
            if rows % PART == 0:
                run_logger().info("%s: %s rows read", path.name, f"{rows:,}")
        return FileRead(rows, staging.targets, staging.rejected, file.counted_in, file.ignored)


@step(name="Write reject file", minutes=30)
def write_rejects(staged: Path, rejects: Path, counted_in: str) -> int:
    """Write the malformed rows beside the input, or remove an earlier import's file; how many there are."""
    with Staging(staged) as staging:
        if staging.rejected:
            write_reject_file(rejects, staging.rejects(), counted_in)
        else:
            remove_reject_file(rejects)
        return staging.rejected


@step(name="Store targets", minutes=60)
def store_part(settings: Settings, staged: Path, first: int, of: int, rules: ImportRules) -> Counts:
    """Store at most PART staged targets from number `first` on; the counts by outcome."""
    counts: Counts = Counter()
    last = min(first + PART, of)
    with Staging(staged) as staging, closing(_connect(settings)) as store:
        models = {rules.model, *store.models()}
        for start in range(first, last, CHUNK):
            counts += _store_chunk(store, staging, staging.chunk(start, CHUNK), rules, models)
    run_logger().info("%s of %s targets stored or found there", f"{last:,}", f"{of:,}")
    return counts


def _connect(settings: Settings) -> EventStore:
    return EventStore.connect(settings.mongodb_uri, settings.mongodb_database)


def _store_chunk(
    store: EventStore, staging: Staging, rows: Sequence[CheckedTarget], rules: ImportRules, models: Collection[str]
) -> Counts:
    makers = store.existing_ids((row.prediction_id for row in rows), models)
    matched = {identifier for identifier, made_by in makers.items() if rules.model in made_by}
    stored = store.targets_for(rules.model, (row.prediction_id for row in rows))
    ours = [row for row in rows if row.prediction_id in matched or row.prediction_id not in makers]
    outcomes = {
        row.prediction_id: outcome_of(
            row, stored.get(row.prediction_id), rules, matched=row.prediction_id in matched
        )
        for row in ours
    }
    refusals = store.add_targets([as_target(row, rules) for row in ours if outcomes[row.prediction_id] in STORES])
    reasons = {refusal.prediction_id: f"MongoDB refused it: {refusal.reason}" for refusal in refusals}
    reasons |= {
        identifier: f"is a prediction of {', '.join(sorted(made_by))}, and the import is for {rules.model}"
        for identifier, made_by in makers.items()
        if identifier not in matched
    }
    staging.reject(
        RejectedTarget.of_checked(row, reasons[row.prediction_id]) for row in rows if row.prediction_id in reasons
    )
    return Counter(
        ("matched" if identifier in matched else "unknown", outcome)
        for identifier, outcome in outcomes.items()
        if identifier not in reasons
    )


def publish_counts(summary: ImportSummary) -> None:
    """Show the counts on the flow run's page, when a Prefect server records the run."""
    if is_recorded():
        key = summary.artifact_key
        create_table_artifact(key=f"{key}-counts", table=summary.table(), description="Rows by outcome")
        create_markdown_artifact(
            key=f"{key}-summary", markdown=summary.markdown(), description="What was imported"
        )
