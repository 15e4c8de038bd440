"""What a flow run shows on its page in Prefect: the link to its report, a summary, and the scores as a table."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from batch_flows.orchestration.steps import is_recorded
from sextant.infrastructure.settings import Settings

DIGITS = 4
"""Significant digits of a number in a table that people read; the report's JSON holds them all."""


def report_link(settings: Settings, html_name: str) -> str:
    """Where people open a report, by its file in the reports folder."""
    return f"{settings.reports_url.rstrip('/')}/{quote(html_name)}"


def publish(key: str, *, link: str, summary: str, scores: Sequence[Mapping[str, Any]] = ()) -> None:
    """Show all of it, when a Prefect server records the run."""
    if not is_recorded():
        return
    create_link_artifact(
        key=f"{key}-report", link=link, link_text="Open the report", description="The HTML report"
    )
    create_markdown_artifact(key=f"{key}-summary", markdown=summary, description="What the report found")
    if scores:
        table = [{name: _shown(value) for name, value in row.items()} for row in scores]
        create_table_artifact(key=f"{key}-scores", table=table, description="Drift scores")


def _shown(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
