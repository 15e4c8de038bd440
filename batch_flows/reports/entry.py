"""One report as the index lists it, read from the JSON summary beside its page."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field

from sextant.contracts.events import as_utc

Kind = Literal["good", "bad", "quiet"]
Name = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=10**15)]
NAMED_COLUMNS = 3
MOST_LETTERS = 120


class _Span(BaseModel):
    start: AwareDatetime
    end: AwareDatetime


class _Summary(BaseModel):
    """The `reports` document, as far as every flow writes it; what is in `metrics` depends on the flow."""

    flow: Name
    model: Name | None = None
    model_version: Name | None = None
    window: _Span
    rows: Count = 0
    rows_with_target: Count = 0
    created_at: AwareDatetime
    metrics: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Status:
    """A verdict in a word or two, and how it looks."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Entry:
    """A report: what it is about and what it found; times are in UTC."""

    stem: str
    flow: str
    model: str
    version: str
    start: datetime
    end: datetime
    rows: int
    rows_with_target: int
    created_at: datetime
    status: Status
    judges_drift: bool
    drifted: str
    drift_share: float | None


def entry_of(stem: str, summary: bytes) -> Entry:
    """The report whose files have this stem; raises ValueError or OverflowError for what is no summary."""
    read = _Summary.model_validate_json(summary)
    drift = _drift_by_column(read.metrics)
    shares = [share for column in drift.values() if (share := _share(column)) is not None]
    return Entry(
        stem=stem,
        flow=read.flow,
        model=read.model or "all models",
        version=read.model_version or "",
        start=as_utc(read.window.start),
        end=as_utc(read.window.end),
        rows=read.rows,
        rows_with_target=read.rows_with_target,
        created_at=as_utc(read.created_at),
        status=_status(read.metrics),
        judges_drift="dataset_drift" in read.metrics,
        drifted=_listed([str(name)[:80] for name, column in drift.items() if column.get("drifted") is True]),
        drift_share=max(shares, default=None),
    )


def _status(metrics: Mapping[str, Any]) -> Status:
    """What the flow says of itself, or else its verdict on drift."""
    stated = metrics.get("status")
    if isinstance(stated, dict) and isinstance(stated.get("text"), str) and stated.get("kind") in get_args(Kind):
        return Status(stated["text"][:MOST_LETTERS], stated["kind"])
    if "dataset_drift" not in metrics:
        return Status("no verdict", "quiet")
    if metrics["dataset_drift"] is None:
        return Status("not judged", "quiet")
    return Status("drift", "bad") if metrics["dataset_drift"] is True else Status("no drift", "good")


def _drift_by_column(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    columns = metrics.get("drift")
    if not isinstance(columns, dict):
        return {}
    return {name: column for name, column in columns.items() if isinstance(column, dict)}


def _share(column: Mapping[str, Any]) -> float | None:
    """The score ÷ its threshold; None where there is no verdict to draw."""
    score, threshold = column.get("score"), column.get("threshold")
    if not isinstance(score, int | float) or not isinstance(threshold, int | float) or threshold <= 0:
        return None
    share = score / threshold
    return share if math.isfinite(share) and share >= 0 else None


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_COLUMNS
    return ", ".join(names[:NAMED_COLUMNS]) + (f" and {more} more" if more > 0 else "")
