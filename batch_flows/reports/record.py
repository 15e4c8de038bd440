"""What is kept of a report: the document in MongoDB's `reports` and, as JSON, the summary beside its page."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from batch_flows.time_range import Moment, TimeRange
from sextant.evaluation.drift.severity import in_thresholds

ALL_MODELS = "all"
"""In place of a model's name, in a report about all of them."""
MOST_LETTERS = 120

Kind = Literal["good", "bad", "quiet"]
Name = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """A finding in a word or two, and how it looks."""

    text: str
    kind: Kind


class ReportRecord(BaseModel):
    """A report's description; what is in `metrics` depends on the flow, and on how old the report is."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: str = Field("", validation_alias="_id")
    flow: Name
    model: Name | None = None
    model_version: Name | None = None
    window: TimeRange
    rows: Count = 0
    rows_with_target: Count = 0
    created_at: Moment
    metrics: dict[str, Any] = {}
    html: str = ""

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        window = {"start": self.window.start, "end": self.window.end}
        return {"_id": self.id, **{name: getattr(self, name) for name in _FIELDS}, "window": window}

    @property
    def status(self) -> Status:
        """What the flow says of itself, or else its verdict on drift."""
        match self.metrics.get("status"):
            case {"text": str(text), "kind": ("good" | "bad" | "quiet") as kind}:
                return Status(text[:MOST_LETTERS], kind)
        if not self.judges_drift:
            return Status("no verdict", "quiet")
        if self.dataset_drift is None:
            return Status("not judged", "quiet")
        return Status("drift", "bad") if self.dataset_drift else Status("no drift", "good")

    @property
    def judges_drift(self) -> bool:
        """Whether it is about drift at all."""
        return "dataset_drift" in self.metrics

    @property
    def dataset_drift(self) -> bool | None:
        """Whether there was drift; None where nothing could be judged."""
        found = self.metrics.get("dataset_drift")
        return None if found is None else found is True

    @property
    def thresholds_hold(self) -> str:
        """For which rows its thresholds hold, in words; empty where it does not say."""
        match self.metrics.get("thresholds"):
            case {"hold": str(words)}:
                return words
        return ""

    @property
    def drifted_columns(self) -> list[str]:
        """The columns that drifted."""
        columns = self._columns().items()
        return [name for name, column in columns if column.get("detected", column.get("drifted")) is True]

    @property
    def drifted_ratio(self) -> float | None:
        """Their share of all features."""
        return _number(self.metrics.get("drifted_features_ratio"))

    @property
    def furthest(self) -> float | None:
        """The largest drift of a column, in thresholds; above 1 it drifted, whichever way its method points."""
        found = [ratio for column in self._columns().values() if (ratio := _threshold_ratio(column)) is not None]
        return max(found, default=None)

    def measures(self, name: str) -> dict[str, float]:
        """The numbers of a group in `metrics`, such as performance, by name."""
        found = self.metrics.get(name)
        numbers = {key: _number(value) for key, value in found.items()} if isinstance(found, dict) else {}
        return {key: value for key, value in numbers.items() if value is not None}

    def why_kept(self, later: "ReportRecord") -> str | None:
        """Why one made later of the same window does not replace this one: it saw less of it. None: it may."""
        seen, left = self._seen(), later._seen()
        if seen > left:
            return f"was made from {seen:,} predictions, of which {left:,} are still stored"
        missed = self._sources() - later._sources()
        return f"also knows what {', '.join(sorted(missed))} could not tell this time" if missed else None

    def _seen(self) -> float:
        """How many predictions it saw; `rows` may be those of a sample."""
        seen = _number(self.metrics.get("predictions_in_window"))
        return self.rows if seen is None else seen

    def _sources(self) -> set[str]:
        found = self.metrics.get("sources")
        return {str(source) for source in found} if isinstance(found, list) else set()

    def _columns(self) -> dict[str, Document]:
        """The verdict on each column's drift; older documents hold them by column."""
        match self.metrics:
            case {"verdicts": list(verdicts)}:
                drift = [found for found in verdicts if isinstance(found, dict) and found.get("name") == "drift"]
                return {str(verdict.get("column")): verdict for verdict in drift}
            case {"drift": dict(columns)}:
                return {name: column for name, column in columns.items() if isinstance(column, dict)}
        return {}


_FIELDS = [name for name in ReportRecord.model_fields if name != "id"]


def read_records(documents: Iterable[Document]) -> tuple[list[ReportRecord], list[Document]]:
    """The documents that describe a report, in their order; and those that cannot be read as one."""
    records, unreadable = [], []
    for document in documents:
        try:
            records.append(ReportRecord.model_validate(document))
        except (ValidationError, OverflowError):
            unreadable.append(document)
    return records, unreadable


def _threshold_ratio(column: Document) -> float | None:
    """As the report states it or, of an older one, from score and threshold; None where there is no verdict."""
    if "threshold_ratio" in column:
        ratio = _number(column["threshold_ratio"])
    else:
        score, threshold = _number(column.get("score")), _number(column.get("threshold"))
        if score is None or threshold is None:
            return None
        ratio = in_thresholds(str(column.get("method")), score, threshold)
    return ratio if ratio is not None and ratio >= 0 else None


def _number(value: object) -> float | None:
    """A finite number, or None for anything else."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None
