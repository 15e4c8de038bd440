"""Retention: predictions that are old and reported on leave MongoDB, and old pages the reports folder."""

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from batch_flows.retention import steps
from batch_flows.retention.plan import AgeLimits, Deleted, choose_limits
from batch_flows.retention.summary import ModelOutcome, Pruned, RetentionSummary, interruption
from sextant.contracts.errors import SextantError
from sextant.infrastructure.settings import Settings, load_settings

FLOW = "retention"


@flow(
    name=FLOW,
    flow_run_name="retention of what is older than {older_than_days} days",
    description="Deletes old predictions, with their targets, that a drift report covers, and old report pages.",
    timeout_seconds=6 * 3600,
)
def retention(
    older_than_days: float = 90.0,
    apply: bool = False,
    model: str | None = None,
    keep_reports_days: float | None = 365.0,
    require_report: bool = True,
) -> "State[Any]":
    """What the command runs: Completed with what was deleted, or "Empty"; Failed with one sentence.

    Stopped in between, it goes on when run again. Three things stay whatever their age: the newest WINDOW_SIZE
    predictions of a model, with which monitoring fills its window after a restart; the documents of reports;
    and targets without a prediction, since theirs may still be on its way.

    Args:
        older_than_days: Predictions made longer ago than this are deleted, with their targets.
        apply: Delete; otherwise it is a dry run, which only says what would be deleted.
        model: The one model to clear, with its reports; none: all that have predictions, and all reports.
        keep_reports_days: Pages of reports made longer ago than this are deleted; none: all are kept.
        require_report: Keep each prediction that no drift report of its model version covers.
    """
    deleted: dict[str, Deleted] = {}
    try:
        now = datetime.now(UTC)
        limits = choose_limits(older_than_days=older_than_days, keep_reports_days=keep_reports_days, now=now)
        return _retain(load_settings(), limits, deleted, model=model, apply=apply, require_report=require_report)
    except SextantError as error:
        return Failed(message=interruption(str(error), deleted))


@flow(
    name=FLOW,
    flow_run_name="retention of {model}",
    description="Deletes or lists old predictions and pages, as the settings RETENTION_* say.",
    timeout_seconds=6 * 3600,
)
def scheduled_retention(model: str | None = None) -> "State[Any]":
    """What a deployment runs: whoever may start a run does not say what is deleted; the operator's settings do.

    Args:
        model: The one model to clear, with its reports; none: all that have predictions, and all reports.
    """
    try:
        settings = load_settings()
    except SextantError as error:
        return Failed(message=str(error))
    return retention.fn(
        older_than_days=settings.retention_days,
        apply=settings.retention_apply,
        model=model,
        keep_reports_days=settings.retention_report_days or None,
    )


def _retain(
    settings: Settings,
    limits: AgeLimits,
    deleted: dict[str, Deleted],
    *,
    model: str | None,
    apply: bool,
    require_report: bool,
) -> "State[Any]":
    outcomes: list[ModelOutcome] = []
    for name in steps.find_models(settings, model):
        tally = deleted.setdefault(name, Deleted())
        coverage = steps.read_coverage(settings, name) if require_report else None
        outcomes.append(steps.clear_predictions(settings, name, limits, coverage, apply=apply, tally=tally))
    pruned = steps.prune_reports(settings, model, limits.reports, apply=apply) if limits.reports else Pruned()

    summary = RetentionSummary(limits, outcomes, pruned, applied=apply)
    steps.publish_outcome(summary.markdown())
    return Completed(name=None if summary.found else "Empty", message=summary.sentence())
