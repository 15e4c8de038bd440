"""The drift report: a window of predictions against the rows that the model was judged on."""

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from batch_flows import steps
from batch_flows.drift_summary import FLOW, DriftSummary
from batch_flows.window import Window, choose_window
from contracts.errors import SextantError
from contracts.settings import Settings, load_settings


@flow(
    name=FLOW,
    flow_run_name="drift of {model}",
    description="Compares a window of predictions with the model's reference and writes an HTML report.",
    timeout_seconds=3600,
)
def drift_report(
    model: str = "taxi",
    hours: float = 24.0,
    start: datetime | None = None,
    end: datetime | None = None,
    model_version: str | None = None,
) -> "State[Any]":
    """Completed with what was found, or with "Empty" when nothing was there; Failed with one sentence.

    Args:
        model: The model's name, such as taxi.
        hours: Length of the window where no start is given.
        start: Start of the window, with a time zone.
        end: End of the window, with a time zone; none: now.
        model_version: The version to report on; none: the live one.
    """
    try:
        window = choose_window(hours=hours, start=start, end=end, now=datetime.now(UTC))
        return _report(load_settings(), model, model_version, window)
    except SextantError as error:
        return Failed(message=str(error))


def _report(settings: Settings, model: str, version: str | None, window: Window) -> "State[Any]":
    from evaluation.evaluate import evaluate
    from evaluation.reference import Reference
    from evaluation.report import render

    bundle = steps.read_bundle(settings, model, version)
    rows = steps.read_window(settings, bundle, window)
    if not rows.rows:
        return Completed(name="Empty", message=_nothing_found(bundle.manifest.version, model, window, rows))

    reference = Reference.prepare(bundle.manifest, bundle.reference())
    calibration = steps.calibrate(settings, bundle, reference)
    found = evaluate(reference, rows.frame, calibration)
    summary = DriftSummary(bundle.manifest, window, rows, found)
    page = render(reference, rows.frame, found, title=f"Drift of {model}", facts=summary.facts).html

    document = summary.document(datetime.now(UTC))
    steps.write_report(settings.reports_dir, document, page)
    steps.record_report(settings, document)
    link = f"http://127.0.0.1:{settings.reports_port}/{summary.html_name}"
    steps.publish_artifacts(summary.artifact_key, scores=summary.scores(), summary=summary.markdown(link))
    return Completed(message=f"{summary.sentence()}; report: {settings.reports_dir / summary.html_name}")


def _nothing_found(version: str, model: str, window: Window, rows: steps.WindowRows) -> str:
    others = sum(rows.other_versions.values())
    hint = f" ({others:,} of other versions)" if others else ""
    return f"no predictions of {model} version {version} from {window}{hint}, so there is no report"
