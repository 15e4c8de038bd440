"""When each flow runs: the only place that says so."""

from datetime import timedelta

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from batch_flows.flows.drift_report import drift_report
from contracts.model_bundle import model_names
from contracts.settings import Settings

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
REPORT_HOURS = 24.0
"""A scheduled report covers the last day, however often it is made."""


def deployments(settings: Settings) -> list[RunnerDeployment]:
    """One deployment for each flow and each model that is live now."""
    models = model_names(settings.models_dir) or [settings.default_model]
    return [_drift_report(model, settings.report_every_hours) for model in models]


def _drift_report(model: str, every_hours: float) -> RunnerDeployment:
    return RunnerDeployment.from_flow(
        drift_report,
        name=model,
        parameters={"model": model, "hours": REPORT_HOURS},
        interval=timedelta(hours=every_hours),
        concurrency_limit=ONE_AT_A_TIME,
        tags=["drift", model],
        description=f"How far the last day of {model} is from what the model was judged on.",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
