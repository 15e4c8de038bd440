"""Model performance: whether the model's error grew, why, for whom, and how much of that the labels support."""

from grafana_foundation_sdk.builders import stat, statetimeline, timeseries
from grafana_foundation_sdk.models import dashboard as models

from grafana import colours, segments
from grafana.page import Page, Section, Sized, assemble, choice
from grafana.panels import Query, Text, lines, number, state, timeline
from grafana.shared import firing_alerts, of, ratio_and_threshold, same_hour

UNLABELLED = "no labels yet"
UNJUDGED = "not judged yet"
ALL_ROWS = 'segment=""'
REALISED = "sextant_performance_degradation"
ESTIMATED = "sextant_estimated_degradation"
CONCEPT = "sextant_concept_drift"
FAIRNESS = "sextant_fairness_gap"


def dashboard() -> models.Dashboard:
    """The dashboard sextant-performance."""
    known = 'label_values(sextant_reference_performance{model=~"$model"}, measure)'
    measure = choice("measure", "Measure", known, regex="/^(?!estimated_).*/")
    return assemble(
        Page(
            uid="sextant-performance",
            title="Model performance",
            description="Whether the model errs more than on its reference, why, for whom, and how sure that is.",
            sections=(_now(), _errors(), segments.section(), _labels()),
            variables=(measure,),
            one_model=True,
        )
    )


def _now() -> Section:
    verdicts = (_realised(), _estimated(), _concept_drift(), _fairness(), _coverage_now(), firing_alerts())
    top = tuple(Sized(panel, 4, 4) for panel in verdicts)
    return Section("$model: now", (top, (Sized(_measure(), 16, 10), Sized(_verdicts(), 8, 10))), "model")


def _errors() -> Section:
    line = (Sized(_realised_ratio(), 8, 8), Sized(_estimated_ratio(), 8, 8), Sized(_concept_drift_ratio(), 8, 8))
    return Section("$model: error against the reference", (line,), "model")


def _labels() -> Section:
    panels = (_coverage(), _delay(), _feedback(), _usual())
    return Section("$model: labels and predictions", (tuple(Sized(panel, 6, 7) for panel in panels),), "model")


def _realised() -> stat.Panel:
    text = Text(
        "Realised performance",
        "Whether the error on the labelled rows grew beyond chance. This one pages: consider the previous "
        "version.",
        empty=UNLABELLED,
    )
    return state(
        text, f"max({of(REALISED + '_detected')})", colours.verdict("as expected", "degraded", colours.BAD)
    )


def _estimated() -> stat.Panel:
    text = Text(
        "Estimated performance",
        "Whether the rows look as if the model will err more on them, before any label has come. It cannot see a "
        "changed relation between features and target.",
        empty=UNJUDGED,
    )
    return state(text, f"max({of(ESTIMATED + '_detected')})", colours.verdict("as expected", "degraded"))


def _concept_drift() -> stat.Panel:
    text = Text(
        "Concept drift",
        "Whether the labelled rows have more error than these rows lead to expect: the world changed, not only"
        " the mix of rows. Retraining on new targets helps; older data does not.",
        empty=UNLABELLED,
    )
    return state(text, f"max({of(CONCEPT + '_detected')})", colours.verdict("none", "concept drift"))


def _fairness() -> stat.Panel:
    text = Text(
        "Fairness",
        "Whether a segment's error, against all others', is worse than on the reference. The segments are below.",
        empty=UNLABELLED,
    )
    return state(text, f"max({of(FAIRNESS + '_detected')})", colours.verdict("as before", "gap"))


def _coverage_now() -> stat.Panel:
    text = Text(
        "Label coverage",
        "Share of the window's rows whose target has arrived. Realised performance speaks for these rows alone.",
        "percentunit",
        UNJUDGED,
    )
    coverage = f"max({of('sextant_label_coverage_ratio')})"
    return number(text, coverage, limits=colours.bad_below(0.05, good=0.2)).decimals(0)


def _measure() -> timeseries.Panel:
    text = Text(
        "$measure: realised, estimated and on the reference",
        "Over the window, in the target's own unit: realised on the labelled rows, estimated (dotted, for mae and "
        "accuracy) on all, and on the reference (dashed). Realised apart from estimated is concept drift; both "
        "together is harder traffic.",
        "short",
        UNLABELLED,
    )
    now = of("sextant_performance", 'measure="$measure"', ALL_ROWS)
    ahead = of("sextant_performance", 'measure="estimated_$measure"', ALL_ROWS)
    before = of("sextant_reference_performance", 'measure="$measure"', ALL_ROWS)
    return lines(
        text,
        Query(now, "realised {{version}}"),
        Query(ahead, "estimated {{version}}"),
        Query(before, "reference {{version}}"),
    )


def _verdicts() -> statetimeline.Panel:
    text = Text("Verdicts over time", "When each verdict held, and so which one came first.", empty=UNJUDGED)
    named = {REALISED: "realised", ESTIMATED: "estimated", CONCEPT: "concept drift", FAIRNESS: "fairness"}
    queries = [Query(f"max({of(metric + '_detected')})", name) for metric, name in named.items()]
    return timeline(text, *queries, mappings=colours.verdict("fine", "worse"))


def _realised_ratio() -> timeseries.Panel:
    text = Text(
        "Realised error",
        "How much larger the error of the labelled rows is than on the reference, and what chance may make of it "
        "(dashed). 0 % is as good as on the reference, 100 % is twice the error.",
        "percentunit",
        UNLABELLED,
    )
    return ratio_and_threshold(text, REALISED + "_ratio", REALISED + "_threshold")


def _estimated_ratio() -> timeseries.Panel:
    text = Text(
        "Estimated error",
        "The same as estimated from the features of all rows, without labels.",
        "percentunit",
        UNJUDGED,
    )
    return ratio_and_threshold(text, ESTIMATED + "_ratio", ESTIMATED + "_threshold")


def _concept_drift_ratio() -> timeseries.Panel:
    text = Text(
        "Concept drift",
        "Error of the labelled rows above what these rows lead to expect, as a share of the reference's "
        "error, and its threshold (dashed).",
        "percentunit",
        UNLABELLED,
    )
    return ratio_and_threshold(text, CONCEPT + "_ratio", CONCEPT + "_threshold")


def _coverage() -> timeseries.Panel:
    text = Text(
        "Label coverage",
        "Share of the window's rows whose target has arrived. Falling under steady traffic: the labels' source "
        "is late.",
        "percentunit",
        UNJUDGED,
    )
    return lines(text, Query(of("sextant_label_coverage_ratio"), "{{version}}")).min(0).max(1)


def _delay() -> timeseries.Panel:
    text = Text(
        "Label delay",
        "Median time from a prediction to its target. A window shorter than this never sees its own labels.",
        "s",
        UNLABELLED,
    )
    return lines(text, Query(of("sextant_label_delay_seconds"), "{{version}}")).min(0)


def _feedback() -> timeseries.Panel:
    text = Text(
        "Feedback",
        "Targets a second sent to /feedback, by outcome; refused ones are the sender's to repair.",
        "cps",
        UNLABELLED,
    )
    sent = 'sum by (outcome) (rate(sextant_feedback_total{model=~"$model"}[$__rate_interval]))'
    return lines(text, Query(sent, "{{outcome}}")).min(0)


def _usual() -> timeseries.Panel:
    means = "Not yet an error: the dashboard Live drift shows what the predictions are made from."
    return same_hour("Mean prediction against other days", means, "model:sextant_prediction_mean_avg1h:zscore7d")
