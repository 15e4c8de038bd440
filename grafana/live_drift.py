"""Live drift: whether what a model sees has left its reference, since when, and in which feature or segment."""

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, statushistory, timeseries
from grafana_foundation_sdk.models import dashboard as models

from grafana import colours, data_quality
from grafana.page import Page, Section, Sized, assemble, choice
from grafana.panels import Query, Text, bars, history, lines, number, numbers, state, timeline
from grafana.shared import drift_by_feature, evaluation_age, firing_alerts, of, rate

UNJUDGED = "not judged yet"
UNSEGMENTED = "no segments judged yet"


def dashboard() -> models.Dashboard:
    """The dashboard sextant-live-drift."""
    feature = choice("feature", "Feature", 'label_values(sextant_drift_score{model=~"$model"}, feature)')
    return assemble(
        Page(
            uid="sextant-live-drift",
            title="Live drift",
            description="Whether the data that a model sees have left its reference, since when, and where.",
            sections=(_now(), _features(), _together(), data_quality.section()),
            variables=(feature,),
            one_model=True,
            since="now-30m",
            refresh="5s",
        )
    )


def _now() -> Section:
    verdicts = (Sized(_dataset_drift(), 4, 3), Sized(firing_alerts(), 4, 3))
    numbers = (Sized(_drifted_share(), 4, 3), Sized(_age(), 4, 3))
    window = (Sized(_rows(), 4, 3), Sized(_traffic(), 4, 3))
    top = (verdicts, numbers, Sized(_worst(), 12, 6), window)
    hours = (Sized(_thresholds(), 12, 3), Sized(_not_compared(), 12, 3))
    rows = (top, hours, (Sized(_all_features(), 24, 9),), (Sized(_verdicts(), 24, 6),))
    return Section("$model: now", rows, "model")


def _features() -> Section:
    one = (Sized(_one_feature(), 14, 8), Sized(_predictions(), 10, 8))
    return Section("$model: features", ((Sized(_heat_map(), 24, 10),), one), "model")


def _together() -> Section:
    line = (Sized(_multivariate(), 10, 8), Sized(_segments(), 14, 8))
    title = "$model: all features together, and segments"
    return Section(title, (line, (Sized(_segment_rows(), 24, 6),)), "model")


def _dataset_drift() -> stat.Panel:
    text = Text(
        "Dataset drift",
        "Whether any column is beyond its threshold, at the stated false-alarm rate over all columns. "
        "If it is, read the most drifted features beside it, then the data quality below.",
        empty=UNJUDGED,
    )
    return state(text, f"max({of('sextant_dataset_drift')})", colours.verdict("no drift", "drift"))


def _drifted_share() -> stat.Panel:
    text = Text(
        "Drifted features",
        "Share of the judged columns beyond their threshold, the prediction among them. One column points at its "
        "source, many at a change of the traffic or of the pipeline.",
        "percentunit",
        UNJUDGED,
    )
    limits = colours.bad_above(0.5, warn=0.0001)
    return number(text, f"max({of('sextant_drifted_features_ratio')})", limits=limits).decimals(0)


def _age() -> stat.Panel:
    text = Text(
        "Last evaluation",
        "Time since drift was last judged. It grows without new predictions, or when monitoring stands still; "
        "everything here is as old as that.",
        "s",
        UNJUDGED,
    )
    return number(text, evaluation_age(), limits=colours.bad_above(900, warn=120)).decimals(0)


def _worst() -> bargauge.Panel:
    text = Text(
        "Most drifted now",
        "The five columns nearest to or furthest beyond their threshold; 100 % is the threshold. Start with the"
        " first.",
        "percentunit",
        UNJUDGED,
    )
    query = Query(f"topk(5, {drift_by_feature()})", "{{feature}}")
    return bars(text, query, colours.shares()).max(2)


def _thresholds() -> stat.Panel:
    text = Text(
        "Thresholds hold for",
        "For which rows the stated false-alarm rate holds. Provisional: the reference spans 3 to 6 days, and 7 "
        "are needed. Randomly ordered: the model's events have no time, so nights and weekends may alarm. None: "
        "not yet, or the reference spans fewer than 3 days; the live page says which.",
    )
    kinds = ("random", "provisional", "time")
    ranked = [f"{rank} * {of('sextant_calibrated', _kind(kind))}" for rank, kind in enumerate(kinds, start=1)]
    words = colours.words(
        ("0", "none: scores only", colours.GREY),
        ("1", "randomly ordered rows only", colours.GREY),
        ("2", "consecutive rows, provisional", colours.WARN),
        ("3", "consecutive rows", colours.GOOD),
    )
    return state(text, f"max({' or '.join(ranked)})", words)


def _kind(kind: str) -> str:
    return f'kind="{kind}"'


def _not_compared() -> stat.Panel:
    text = Text(
        "Rows of unknown hours",
        "Rows of the window that are not judged, since the reference has too few rows of their hours, and rows "
        "without an event time, which are compared with all hours alike. A growing number without a time is a "
        "client that changed its format.",
        "short",
        UNJUDGED,
    )
    return numbers(
        text,
        Query(f"max({of('sextant_window_unsupported_rows')})", "not judged"),
        Query(f"max({of('sextant_window_rows_without_time')})", "without a time"),
    )


def _rows() -> stat.Panel:
    text = Text(
        "Rows in the window",
        "Predictions that are judged together; below WINDOW_MIN_ROWS there is no verdict.",
        "short",
    )
    return number(text, f"sum({of('sextant_window_rows')})")


def _traffic() -> stat.Panel:
    text = Text(
        "Predictions",
        "Predictions a second, whatever their outcome. At 0 the verdicts are about the past.",
        "reqps",
    )
    return number(text, f"sum({rate('sextant_predictions_total')})")


def _verdicts() -> statetimeline.Panel:
    text = Text(
        "Verdicts over time",
        "When each verdict held. A verdict that flickers is near its threshold; one that stays began where the "
        "colour changes: look there for a release, a new version or a change upstream.",
        empty=UNJUDGED,
    )
    queries = (
        Query(f"max({of('sextant_dataset_drift')})", "dataset"),
        Query(f"max({of('sextant_multivariate_drift_detected')})", "all features together"),
        Query(f"max({of('sextant_segment_drift_detected')})", "any segment"),
        Query(f"max({of('sextant_data_quality_detected')})", "data quality"),
    )
    return timeline(text, *queries, mappings=colours.verdict("fine", "alarm"))


def _all_features() -> timeseries.Panel:
    text = Text(
        "Drift score as a share of its threshold",
        "Each column's score divided by its own calibrated threshold, so that methods of different scales "
        "compare: above the dashed line at 100 % the column has drifted.",
        "percentunit",
        UNJUDGED,
    )
    return lines(text, Query(drift_by_feature(), "{{feature}}"), threshold=1, many=True)


def _heat_map() -> statushistory.Panel:
    text = Text(
        "Features over time",
        "Each column's drift score as a share of its threshold. A row that turns dark orange is one source that "
        "changed; a column of them is one moment at which much changed at once.",
        "percentunit",
        UNJUDGED,
    )
    return history(text, Query(drift_by_feature(), "{{feature}}"), colours.shares())


def _one_feature() -> timeseries.Panel:
    text = Text(
        "Score and threshold of $feature",
        "The score in the method's own scale and the threshold (dashed) that it is held against. The threshold "
        "moves with the number of rows in the window.",
        "short",
        "this model has no such feature, or it is not judged yet",
    )
    chosen = 'feature="$feature"'
    return lines(
        text,
        Query(of("sextant_drift_score", chosen), "score, {{method}} {{version}}"),
        Query(of("sextant_drift_threshold", chosen), "threshold {{version}}"),
    )


def _predictions() -> timeseries.Panel:
    text = Text(
        "Mean prediction",
        "Mean prediction in the window, and on the reference (dashed). A shift without drifted features is "
        "worth a look at the model that is deployed.",
        "short",
        "no regression, or not judged yet",
    )
    return lines(
        text,
        Query(of("sextant_prediction_mean"), "now {{version}}"),
        Query(of("sextant_reference_prediction_mean"), "reference {{version}}"),
    )


def _multivariate() -> timeseries.Panel:
    text = Text(
        "All features together",
        "How well a classifier tells the window from the reference (ROC AUC; 0.5: not at all), and its threshold. "
        "Beyond it while no single feature drifted: the features' relations changed.",
        "short",
        UNJUDGED,
    )
    return lines(
        text,
        Query(of("sextant_multivariate_drift_score"), "score {{version}}"),
        Query(of("sextant_multivariate_drift_threshold"), "threshold {{version}}"),
    )


def _segments() -> statushistory.Panel:
    text = Text(
        "Segments over time",
        "The largest drift among a segment's columns as a share of its threshold. Drift in one segment alone "
        "hides in the whole: ask who sends that traffic.",
        "percentunit",
        UNSEGMENTED,
    )
    query = Query(f"max by (segment) ({of('sextant_segment_drift_score')})", "{{segment}}")
    return history(text, query, colours.shares())


def _segment_rows() -> timeseries.Panel:
    text = Text(
        "Rows by segment",
        "How the window's rows spread over the segments; fewer than 30 are counted and not judged. A share that"
        " moves drifts the whole even if no segment changed.",
        "short",
        UNSEGMENTED,
    )
    return lines(text, Query(f"sum by (segment) ({of('sextant_segment_rows')})", "{{segment}}"), many=True).min(0)
