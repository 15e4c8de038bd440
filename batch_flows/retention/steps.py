"""The edges of retention, each a step: what MongoDB holds and loses, and which pages leave the folder."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from batch_flows.drift_report.summary import FLOW as DRIFT_REPORT
from batch_flows.orchestration.steps import is_recorded, run_logger, step
from batch_flows.reports.index import write_index
from batch_flows.reports.record import read_records
from batch_flows.retention.plan import (
    AgeLimits,
    Coverage,
    Deleted,
    Kept,
    choose_models,
    coverage_by_version,
    deletable,
    in_batches,
    old_pages,
)
from batch_flows.retention.summary import ModelOutcome, Pruned
from batch_flows.store import open_store
from sextant.contracts.errors import Retryable
from sextant.contracts.model_bundle import model_names
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

BATCH = 1_000
LONG_AGO, FAR_AHEAD = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@step(name="Find models", minutes=5)
def find_models(settings: Settings, model: str | None) -> list[str]:
    """The model asked for, or all with predictions in MongoDB; raises Rejected for one that nobody knows."""
    with open_store(settings) as store:
        return choose_models(model, stored=store.models(), published=model_names(settings.models_dir))


@step(name="Read which windows have a report", minutes=10)
def read_coverage(settings: Settings, model: str) -> dict[str, Coverage]:
    """The times that the model's drift reports cover, by version."""
    with open_store(settings) as store:
        reports, _ = read_records(store.reports(model, without={"metrics"}))
    return coverage_by_version(reports, flow=DRIFT_REPORT)


@step(name="Clear old predictions", minutes=240)
def clear_predictions(
    settings: Settings,
    model: str,
    limits: AgeLimits,
    coverage: Mapping[str, Coverage] | None,
    *,
    apply: bool,
    tally: Deleted,
) -> ModelOutcome:
    """Delete the model's old predictions that a report covers, batch by batch, or count them in a dry run.

    What is deleted is added to `tally` at once, so that it is known even if MongoDB goes away in the middle.
    """
    kept, tally = Kept(), tally if apply else Deleted()
    with open_store(settings) as store:
        rows = store.made_before(model, limits.predictions)
        ids = deletable(rows, coverage, kept, window_start=_window_start(store, model, settings.window_size))
        for batch in in_batches(ids, BATCH):
            tally.add(
                *(store.delete(model, batch) if apply else (len(batch), len(store.targets_for(model, batch))))
            )
    run_logger().info(
        "%s before %s: %s %d predictions and %d targets, kept %d uncovered and %d of the window",
        *(model, limits.predictions, "deleted" if apply else "would delete", tally.predictions, tally.targets),
        *(kept.uncovered, kept.in_window),
    )
    return ModelOutcome(model, tally, kept)


def _window_start(store: EventStore, model: str, size: int) -> datetime:
    """When the newest `size` predictions begin: a time, so that another run's deleting does not move it."""
    newest = [made_at for _, _, made_at in islice(store.made_before(model, FAR_AHEAD, newest_first=True), size)]
    return newest[-1] if len(newest) == size else LONG_AGO


@step(name="Prune old reports", minutes=30)
def prune_reports(settings: Settings, model: str | None, before: datetime, *, apply: bool) -> Pruned:
    """Delete the pages and summaries of old reports and list the others anew, or count them in a dry run.

    The documents stay in MongoDB: they are what proves that a window had its report.
    """
    with open_store(settings) as store:
        reports, unreadable = read_records(store.reports(model, without={"metrics"}))
    names, refused = old_pages(reports, unreadable, before)
    folder = settings.reports_dir.resolve()
    paths = [folder / name for name in names]
    inside = [path for path in paths if path.resolve().is_relative_to(folder)]  # a link may lead out of it
    present = [path for path in inside if path.exists() or path.with_suffix(".json").exists()]
    if apply and folder.is_dir():
        _delete_pages(present)
        write_index(settings.reports_dir)
    return Pruned(len(present), refused + len(paths) - len(inside))


def publish_outcome(markdown: str) -> None:
    """Show the tables on the flow run's page, when a Prefect server records the run."""
    if is_recorded():
        create_markdown_artifact(key="retention", markdown=markdown, description="What was deleted, and what kept")


def _delete_pages(pages: list[Path]) -> None:
    """Summaries go first: the index is made of them, and must not list a page that has gone."""
    try:
        for page in pages:
            page.with_suffix(".json").unlink(missing_ok=True)
            page.unlink(missing_ok=True)
    except OSError as error:
        raise Retryable(f"could not delete {error.filename}: {error.strerror}") from error
