"""How every flow ends that made a report: page, summary, index, document, and what its run shows in Prefect."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from batch_flows.orchestration.steps import is_recorded, step
from batch_flows.reports.files import write_page
from batch_flows.reports.index import write_index
from batch_flows.reports.record import ALL_MODELS, ReportRecord, read_records
from batch_flows.store import open_store
from sextant.infrastructure.settings import Settings

KEPT = "Kept"
DIGITS = 4
"""Significant digits of a number in a table that people read; the report's JSON holds them all."""

Scores = Sequence[Mapping[str, Any]]


def publish(
    settings: Settings, record: ReportRecord, page: str, *, sentence: str, summary: str, scores: Scores = ()
) -> "State[Any]":
    """Completed with the sentence and where the page is; "Kept" where an earlier report of the window saw more."""
    if reason := why_kept(settings, record):
        return Completed(name=KEPT, message=f"the report {record.id} {reason}, so it stays as it is")
    write_report(settings, record, page)
    record_report(settings, record)
    if is_recorded():
        _show(settings, record, summary, scores)
    return Completed(message=f"{sentence}; report: {settings.reports_dir / record.html}")


def as_table(facts: Mapping[str, str]) -> str:
    """Facts as a summary's table."""
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts.items())])


@step(name="Look for an earlier report", minutes=5)
def why_kept(settings: Settings, record: ReportRecord) -> str | None:
    """Why the stored report of the same name is not replaced; None: there is none, or it may be."""
    with open_store(settings) as store:
        found = store.report(record.id)
    earlier, _ = read_records([found] if found else [])
    return earlier[0].why_kept(record) if earlier else None


@step(name="Write report and index", minutes=5)
def write_report(settings: Settings, record: ReportRecord, page: str) -> None:
    """Put the report and its summary into the reports folder, whole or not at all, and list it."""
    write_page(settings.reports_dir, record, page)
    write_index(settings.reports_dir)


@step(name="Record report in MongoDB", minutes=5)
def record_report(settings: Settings, record: ReportRecord) -> None:
    """Store what the report found, for the other flows and for those who query."""
    with open_store(settings) as store:
        store.ensure_indexes()
        store.add_report(record.document())


def _show(settings: Settings, record: ReportRecord, summary: str, scores: Scores) -> None:
    about = (record.flow,) if record.model == ALL_MODELS else (record.flow, str(record.model))
    key = "-".join(about).replace("_", "-")  # Prefect allows small letters, digits and dashes
    link = f"{settings.reports_url.rstrip('/')}/{quote(record.html)}"
    create_link_artifact(
        key=f"{key}-report", link=link, link_text="Open the report", description="The HTML report"
    )
    create_markdown_artifact(
        key=f"{key}-summary",
        markdown=f"[Open the report]({link})\n\n{summary}\n",
        description="What the report found",
    )
    if scores:
        table = [{name: _shown(value) for name, value in row.items()} for row in scores]
        create_table_artifact(key=f"{key}-scores", table=table, description="Drift scores")


def _shown(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
