"""The data quality of a model's traffic, as a section of the live-drift dashboard."""

from grafana_foundation_sdk.builders import statushistory, timeseries

from grafana import colours
from grafana.page import Section, Sized
from grafana.panels import Query, Text, history, lines
from grafana.shared import of, rate

UNJUDGED = "not judged yet"


def section() -> Section:
    """What is wrong with the values themselves."""
    first = (Sized(_checks(), 16, 8), Sized(_refused(), 8, 8))
    second = (Sized(_missing(), 8, 7), Sized(_out_of_range(), 8, 7), Sized(_unseen(), 8, 7))
    return Section("$model: data quality", (first, second, (Sized(_duplicates(), 24, 6),)), "model")


def _checks() -> statushistory.Panel:
    text = Text(
        "Failing checks by feature",
        "How many of a feature's checks (missing, out of range, unseen category) are beyond the reference by "
        "more than a percentage point and chance. Look here first when a feature drifts: a broken pipeline "
        "looks like drift.",
        "short",
        UNJUDGED,
    )
    failing = f"sum by (feature) ({of('sextant_data_quality_detected')})"
    limits = colours.steps((None, colours.GOOD), (1, colours.WARN), (2, colours.BAD))
    return history(text, Query(failing, "{{feature}}"), limits)


def _refused() -> timeseries.Panel:
    text = Text(
        "Refused values",
        "Wrong values a second in requests that the prediction service refused: missing, of the wrong type or too "
        "large. They never reach the window; tell the client.",
        "cps",
        "nothing refused",
    )
    query = Query(f"sum by (feature) ({rate('sextant_rejected_values_total')})", "{{feature}}")
    return lines(text, query).min(0)


def _missing() -> timeseries.Panel:
    description = "Share of the window's rows without the feature. A step up is a source that went away."
    return _ratio("Missing values", description, "sextant_missing_values_ratio")


def _out_of_range() -> timeseries.Panel:
    description = (
        "Share of the rows outside of the known range. Often a unit that changed, or a sensor that failed."
    )
    return _ratio("Out of range", description, "sextant_out_of_range_ratio")


def _unseen() -> timeseries.Panel:
    description = "Share of the rows with a category that training never saw; the model guesses there."
    return _ratio("Unseen categories", description, "sextant_unseen_category_ratio")


def _ratio(title: str, description: str, metric: str) -> timeseries.Panel:
    text = Text(title, description, "percentunit", UNJUDGED)
    return lines(text, Query(f"max by (feature) ({of(metric)})", "{{feature}}")).min(0)


def _duplicates() -> timeseries.Panel:
    text = Text(
        "Duplicate rows",
        "Share of the window's rows that repeat another's features and context under another id: a client that "
        "sends twice, or a replay.",
        "percentunit",
        UNJUDGED,
    )
    return lines(text, Query(of("sextant_duplicate_rows_ratio"), "{{version}}")).min(0)
