"""The comparison of two models: which errs less in a window, on the same records where both answered them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from batch_flows.compare_models import steps
from batch_flows.compare_models.choice import FLOW, Choice, choose
from batch_flows.compare_models.summary import ComparisonSummary, too_few
from batch_flows.orchestration.steps import read_bundle, timed
from batch_flows.reports.publish import as_table, publish
from batch_flows.time_range import TimeRange, choose_time_range
from sextant.contracts.errors import SextantError
from sextant.infrastructure.settings import Settings, load_settings

if TYPE_CHECKING:  # see drift_report.steps
    from batch_flows.compare_models.rows import ComparedRows

SEED = 20210101


@flow(
    name=FLOW,
    flow_run_name="compare versions of {model}",
    description="Compares the errors of two model versions in a window and writes an HTML page with the verdict.",
    timeout_seconds=3600,
)
def compare_models(
    model: str = "taxi",
    version: str | None = None,
    other_version: str | None = None,
    other_model: str | None = None,
    *,
    hours: float = 24.0,
    start: datetime | None = None,
    end: datetime | None = None,
    pair_by: str | None = None,
) -> "State[Any]":
    """Completed with the verdict, "Empty" when too few rows have a target, "Kept" where an earlier page saw more.

    Failed with one sentence.

    Args:
        model: The name of model A, such as taxi.
        version: Version of A; none: the live one.
        other_version: Version of B; none: the live one.
        other_model: The name of model B; none: the same as A.
        hours: Length of the window where no start is given.
        start: Start of the window, with a time zone.
        end: End of the window, with a time zone; none: now.
        pair_by: A field of the records whose value tells which are the same event; none: all fields together.
    """
    try:
        settings = load_settings()
        window = choose_time_range(hours=hours, start=start, end=end, now=datetime.now(UTC).replace(microsecond=0))
        a = read_bundle(settings, model, version).manifest
        b = read_bundle(settings, other_model or model, other_version).manifest
        return _compare(settings, choose(a, b), window, pair_by)
    except SextantError as error:
        return Failed(message=str(error))


def _compare(settings: Settings, choice: Choice, window: TimeRange, pair_by: str | None) -> "State[Any]":
    from batch_flows.compare_models.comparison import MIN_ROWS
    from batch_flows.compare_models.page import render

    rows = steps.read_rows(settings, choice, window, pair_by)
    if not rows.enough:
        return Completed(name="Empty", message=too_few(choice, window, rows, MIN_ROWS))

    with timed("comparing"):
        summary = _judge(choice, window, rows)
    record = summary.record(datetime.now(UTC))
    page = render(summary, record.created_at)
    facts = as_table({"Verdict": summary.verdict, **summary.facts})
    return publish(settings, record, page, sentence=summary.sentence(), summary=facts)


def _judge(choice: Choice, window: TimeRange, rows: "ComparedRows") -> ComparisonSummary:
    import numpy as np

    from batch_flows.compare_models.comparison import compare
    from sextant.evaluation.performance.measures import measure_performance, row_errors

    task = choice.a.task
    errors_a, errors_b = (np.asarray(row_errors(frame, task), np.float64) for frame in rows.frames)
    random = np.random.default_rng(SEED)
    found = compare(errors_a, errors_b, task=task, paired=rows.why_unpaired is None, random=random)
    performance = measure_performance(rows.frame_a, choice.a), measure_performance(rows.frame_b, choice.b)
    return ComparisonSummary(choice, window, rows, found, performance)
