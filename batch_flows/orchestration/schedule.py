"""When each flow runs: the only place that says so."""

from datetime import timedelta
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from batch_flows.orchestration.command import load_flow
from sextant.contracts.model_bundle import model_names
from sextant.infrastructure.settings import Settings

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
REPORT_HOURS = 24.0
"""A scheduled report covers the last day, however often it is made."""
EVERY_NIGHT = "30 2 * * *"
MONDAY_MORNING = "0 5 * * 1"
"""Both in UTC, as all that Sextant stores; the week's summary comes after the night's retention."""


def deployments(settings: Settings) -> list[RunnerDeployment]:
    """The drift report of each model that is live now, and each of the other flows once."""
    models = model_names(settings.models_dir) or [settings.default_model]
    return [*(_drift_report(model, settings) for model in models), *_others()]


def _drift_report(model: str, settings: Settings) -> RunnerDeployment:
    return _deployment(
        "drift_report",
        model,
        tags=["drift", model],
        description=f"Drift and performance of {model} over the last day, against its reference.",
        parameters={"model": model, "hours": REPORT_HOURS},
        interval=timedelta(hours=settings.report_every_hours),
    )


def _others() -> list[RunnerDeployment]:
    return [
        _deployment(
            "health_summary",
            "weekly",
            tags=["health"],
            description="How the week went: availability, volume, drift, label coverage, alarms, slowest hours.",
            cron=MONDAY_MORNING,
        ),
        _deployment(
            "retention",
            "nightly",
            function="scheduled_retention",
            tags=["retention"],
            description="Lists predictions that are old and have a report; deletes them with RETENTION_APPLY.",
            cron=EVERY_NIGHT,
        ),
        _deployment(
            "import_targets",
            "on-demand",
            function="import_from_folder",
            tags=["targets"],
            description="Imports targets from a CSV or Parquet file in the folder IMPORT_DIR.",
        ),
        _deployment(
            "compare_models",
            "on-demand",
            tags=["comparison"],
            description="Which of two versions or models has the smaller error on the same labelled records.",
        ),
    ]


def _deployment(folder: str, name: str, function: str | None = None, **details: Any) -> RunnerDeployment:
    """A deployment of which one run at a time goes on; later ones wait for it.

    `function`: a flow with fewer parameters than the command's, since a run's are chosen by whoever starts it.
    """
    return RunnerDeployment.from_flow(
        load_flow(folder, function),
        name=name,
        concurrency_limit=ONE_AT_A_TIME,
        entrypoint_type=EntrypointType.MODULE_PATH,
        **details,
    )
