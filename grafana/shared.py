"""Panels that stand on several dashboards."""

from grafana_foundation_sdk.builders import stat, timeseries

from grafana import colours
from grafana.panels import Query, Text, lines, number
from grafana.queries import FIRING, of


def firing_alerts() -> stat.Panel:
    """How many alerts want someone's attention."""
    text = Text(
        "Alerts firing",
        "Alerts that page or warn, of these models or of all. The dashboard Fleet names them, with their "
        "runbooks.",
        "short",
    )
    return number(text, f"count({FIRING}) or vector(0)", limits=colours.bad_above(1))


def ratio_and_threshold(text: Text, ratio: str, threshold: str) -> timeseries.Panel:
    """How much larger an error is than expected, and what chance alone may make of it."""
    return lines(
        text,
        Query(of(ratio), "now {{version}}"),
        Query(of(threshold), "threshold {{version}}"),
    )
