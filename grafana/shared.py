"""What several dashboards share: PromQL for the models and versions that are chosen, and whole panels."""

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import colours
from grafana.panels import Query, Text, deviation, lines, number

SELECTED = 'model=~"$model",version=~"$version"'
MODEL_VERSION = "model, version"
OF_A_MODEL = 'model!=""'

FIRING = 'ALERTS{alertstate="firing",severity=~"page|warning",model=~"$model|"}'
"""Alerts that someone should act on; those without a model concern every model."""


def of(metric: str, *matchers: str) -> str:
    """A metric of the chosen models and versions."""
    return f"{metric}{{{','.join([SELECTED, *matchers])}}}"


def rate(metric: str, *matchers: str) -> str:
    """A counter's increase by the second, of the chosen models and versions."""
    return f"rate({of(metric, *matchers)}[$__rate_interval])"


def share_of_threshold(metric: str, threshold: str) -> str:
    """How near a score is to its threshold; 1 is the threshold, whatever the method's own scale."""
    return f"{of(metric)} / {of(threshold)}"


def drift_by_feature() -> str:
    """The drift of each feature as a share of its threshold."""
    return f"max by (feature) ({of('sextant_drift_threshold_ratio')})"


def latency(quantile: float, *by: str) -> str:
    """A quantile of the time that prediction requests take, in seconds."""
    labels = ", ".join((*by, "le"))
    buckets = rate("sextant_prediction_duration_seconds_bucket", *_named(by))
    # Without requests the quantile is NaN, which the comparison drops.
    return f"histogram_quantile({quantile}, sum by ({labels}) ({buckets})) >= 0"


def error_ratio(*by: str) -> str:
    """Share of the predictions that the service failed to answer; what a client got wrong does not count."""
    grouped = f"sum by ({', '.join(by)})" if by else "sum"
    failed = rate("sextant_predictions_total", 'outcome=~"unavailable|error"', *_named(by))
    asked = rate("sextant_predictions_total", *_named(by))
    return f"({grouped} ({failed}) or {grouped} ({asked}) * 0) / ({grouped} ({asked}) > 0)"


def evaluation_age(*by: str) -> str:
    """Seconds since drift was last evaluated."""
    grouped = f"max by ({', '.join(by)})" if by else "max"
    return f"time() - {grouped} ({of('sextant_last_evaluation_timestamp_seconds')})"


def _named(by: tuple[str, ...]) -> tuple[str, ...]:
    # A request that was not understood has no model, and no place among the models.
    return (OF_A_MODEL,) if "model" in by else ()


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
    return lines(text, Query(of(ratio), "now {{version}}"), Query(of(threshold), "threshold {{version}}"))


def same_hour(title: str, means: str, metric: str) -> timeseries.Panel:
    """How far from the same hour of the past days, with the lines beyond which it alarms."""
    how = "Standard deviations from the same hour of the past seven days; beyond the lines it warns."
    text = Text(title, f"{how} {means}", "none", "fewer than three days to compare with")
    return deviation(text, Query(f'{metric}{{model=~"$model"}}', "{{model}}"), limit=4)
