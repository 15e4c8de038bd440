"""When an event took place: the local wall-clock time that stands in its time column as ISO 8601 text."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ISO_8601 = (
    r"^(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?)"
    r" ?(Z|[+-]\d{2}(?::?\d{2})?)?$"
)
"""The wall-clock time and, where there is one, its offset from UTC."""


def event_times(texts: "pd.Series[Any]") -> "pd.Series[Any]":
    """Wall-clock times as they are written, whatever their offset from UTC; NaT where there is no such time."""
    import pandas as pd

    walls = _parts(texts)[0]
    return pd.to_datetime(walls, format="ISO8601", errors="coerce").astype("datetime64[ns]")


def utc_offsets(texts: "pd.Series[Any]") -> "pd.Series[Any]":
    """The offsets that the texts state ("Z", "+01:00"), empty where they state none."""
    return _parts(texts)[1].fillna("")


def _parts(texts: "pd.Series[Any]") -> "pd.DataFrame":
    """Datetimes are read too: their text has this form."""
    return texts.astype(str).str.strip().str.extract(ISO_8601, expand=True)
