"""Segments: the parts of a window or reference that share a value of a feature or context column."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sextant.evaluation.frames import category_of

MAX_VALUES = 20
LONGEST_VALUE = 100
OTHER = "other"
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class SegmentColumn:
    """A column to segment by, and the values that have a segment of their own: the reference's commonest."""

    name: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, name: str, reference: "pd.Series[Any]") -> "SegmentColumn":
        """The column with at most 20 values; all others, whenever they turn up, are one segment."""
        counts = reference.map(_text).value_counts()
        ranked = sorted(counts.index, key=lambda value: (-int(counts[value]), value))
        return cls(name, tuple(ranked[:MAX_VALUES]))

    def split(self, frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """The frame's rows by segment, in the order of the values, the others last; none is empty."""
        values = frame[self.name] if self.name in frame else pd.Series(None, index=frame.index, dtype=object)
        texts = values.map(_text)
        texts = texts.where(texts.isin(self.values), OTHER)
        parts: Mapping[Any, pd.DataFrame] = dict(iter(frame.groupby(texts, sort=False)))
        for value in dict.fromkeys((*self.values, OTHER)):
            if value in parts:
                yield f"{self.name}={value}", parts[value]


def _text(value: Any) -> str:
    text = category_of(value)
    return MISSING if text is None else text[:LONGEST_VALUE]
