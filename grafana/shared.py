"""Panels that stand on several dashboards."""

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import colours
from grafana.panels import Query, Text, deviation, lines, number
from grafana.queries import FIRING, of


def firing_alerts() -> stat.Panel:
    """How many alerts want someone's attention."""
    text = Text(
        "Alerts firing",
        "Alerts that page or warn, of these models or of all. A click leads to the dashboard Fleet, which names "
        "them, with their runbooks.",
        "short",
    )
    panel = number(text, f"count({FIRING}) or vector(0)", limits=colours.bad_above(1))
    url = "/d/sextant-fleet?${model:queryparam}&${datasource:queryparam}&${__url_time_range}"
    return panel.override_by_regexp("/.*/", [DynamicConfigValue("links", [{"title": "Fleet", "url": url}])])


def ratio_and_threshold(text: Text, ratio: str, threshold: str) -> timeseries.Panel:
    """How much larger an error is than expected, and what chance alone may make of it."""
    return lines(
        text,
        Query(of(ratio), "now {{version}}"),
        Query(of(threshold), "threshold {{version}}"),
    )


def same_hour(title: str, means: str, metric: str) -> timeseries.Panel:
    """How far from the same hour of the past days, with the lines beyond which it alarms."""
    how = "Standard deviations from the same hour of the past seven days; beyond the lines it warns."
    text = Text(title, f"{how} {means}", "none", "fewer than three days to compare with")
    return deviation(text, Query(f'{metric}{{model=~"$model"}}', "{{model}}"), limit=4)
