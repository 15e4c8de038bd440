"""The drift report: a window of predictions against the rows that the model was judged on."""

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from batch_flows.drift_report import steps
from batch_flows.drift_report.summary import FLOW, DriftSummary, nothing_found, of_all_models
from batch_flows.orchestration.steps import in_one_line, read_bundle, run_logger, timed
from batch_flows.reports.publish import as_table, publish
from batch_flows.reports.record import ALL_MODELS
from batch_flows.time_range import TimeRange, choose_time_range
from sextant.contracts.errors import Rejected, SextantError
from sextant.contracts.model_bundle import model_names
from sextant.infrastructure.settings import Settings, load_settings

EMPTY = "Empty"


@flow(
    name=FLOW,
    flow_run_name="drift of {model}",
    description="Compares a window of predictions with the model's reference and writes an HTML report.",
    timeout_seconds=3600,
)
def drift_report(
    model: str = ALL_MODELS,
    hours: float = 24.0,
    start: datetime | None = None,
    end: datetime | None = None,
    model_version: str | None = None,
) -> "State[Any]":
    """Completed with what was found, "Empty" when nothing was there, "Kept" where an earlier report saw more.

    Failed with one sentence.

    Args:
        model: The model's name, such as taxi; all: a report for each live model.
        hours: Length of the window where no start is given.
        start: Start of the window, with a time zone.
        end: End of the window, with a time zone; none: now.
        model_version: The version to report on; none: the live one.
    """
    try:
        settings = load_settings()
        # Whole seconds, as the report shows them, so that its window can be asked for again.
        window = choose_time_range(hours=hours, start=start, end=end, now=datetime.now(UTC).replace(microsecond=0))
        if model not in ("", ALL_MODELS):
            return _attempt(settings, model, model_version, window)
        return _report_all(settings, model_version, window)
    except SextantError as error:
        return Failed(message=str(error))


def _report_all(settings: Settings, version: str | None, window: TimeRange) -> "State[Any]":
    models = model_names(settings.models_dir)
    if version is not None:
        raise Rejected(f"version {version} needs the name of its model")
    if not models:
        raise Rejected(f"there is no model in {settings.models_dir}; run: python prepare.py")
    states = {model: _attempt(settings, model, None, window) for model in models}
    message = of_all_models({model: state.message or "" for model, state in states.items()}, _failed(states))
    if _failed(states):
        return Failed(message=message)
    empty = all(state.name == EMPTY for state in states.values())
    return Completed(name=EMPTY, message=message) if empty else Completed(message=message)


def _failed(states: "dict[str, State[Any]]") -> list[str]:
    return [model for model, state in states.items() if not state.is_completed()]


def _attempt(settings: Settings, model: str, version: str | None, window: TimeRange) -> "State[Any]":
    """The report's state whatever happens: a sentence is what people read, and other models wait for theirs."""
    try:
        return _report(settings, model, version, window)
    except SextantError as error:
        return Failed(message=str(error))
    except Exception as error:  # noqa: BLE001  a fault of ours; the log has the trace
        run_logger().exception("the report of %s failed", model)
        return Failed(message=f"unexpected {in_one_line(error)}")


def _report(settings: Settings, model: str, version: str | None, window: TimeRange) -> "State[Any]":
    from sextant.evaluation.evaluate import evaluate
    from sextant.evaluation.report import render

    bundle = read_bundle(settings, model, version)
    rows = steps.read_window(settings, bundle, window)
    if not rows.rows:
        return Completed(name=EMPTY, message=nothing_found(bundle.manifest, window, rows))

    reference = steps.read_reference(bundle)
    calibration = steps.calibrate(settings, bundle, reference)
    segments = steps.calibrate_segments(settings, bundle, reference)
    estimator, no_estimate = steps.fit_estimator(reference)
    with timed("evaluating"):
        found = evaluate(reference, rows.frame, calibration, segment_calibration=segments, estimator=estimator)
    summary = DriftSummary(bundle.manifest, window, rows, found, no_estimate)
    with timed("rendering"):
        page = render(reference, rows.frame, found, title=f"Drift of {model}", facts=summary.facts).html
    return publish(
        settings,
        summary.record(datetime.now(UTC)),
        page,
        sentence=summary.sentence(),
        summary=as_table(summary.facts),
        scores=summary.scores(),
    )
