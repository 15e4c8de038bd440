"""Performance and fairness by segment, as a section of the performance dashboard."""

from grafana_foundation_sdk.builders import statushistory, timeseries

from grafana import colours
from grafana.page import Section, Sized
from grafana.panels import Query, Text, history, lines
from grafana.shared import of, share_of_threshold

NONE_LABELLED = "no labelled segments yet"
SEGMENTS = 'segment!=""'


def section() -> Section:
    """For whom the model works."""
    line = (Sized(_measure(), 12, 8), Sized(_against_reference(), 12, 8))
    fairness = (Sized(_gap(), 12, 8), Sized(_gap_map(), 12, 8))
    return Section("$model: segments and fairness", (line, fairness), "model")


def _measure() -> timeseries.Panel:
    text = Text(
        "$measure by segment",
        "The realised measure of each segment with enough labelled rows, in the target's own unit.",
        "short",
        NONE_LABELLED,
    )
    now = of("sextant_performance", 'measure="$measure"', SEGMENTS)
    return lines(text, Query(f"max by (segment) ({now})", "{{segment}}"), many=True)


def _against_reference() -> timeseries.Panel:
    text = Text(
        "$measure by segment, against its own reference",
        "Each segment's measure divided by the same segment's on the reference: 100 % is as on the reference. "
        "For an error higher is worse, for accuracy and the like lower is.",
        "percentunit",
        NONE_LABELLED,
    )
    now = of("sextant_performance", 'measure="$measure"', SEGMENTS)
    before = of("sextant_reference_performance", 'measure="$measure"', SEGMENTS)
    return lines(text, Query(f"max by (segment) ({now} / {before})", "{{segment}}"), many=True)


def _gap() -> timeseries.Panel:
    text = Text(
        "Fairness gap",
        "How much worse than on the reference a segment's error stands against all other rows': 0 % is as it was. "
        "What the model always did worse is in its model card, not here.",
        "percentunit",
        NONE_LABELLED,
    )
    gap = f"max by (segment) ({of('sextant_fairness_gap_ratio')})"
    return lines(text, Query(gap, "{{segment}}"), many=True)


def _gap_map() -> statushistory.Panel:
    text = Text(
        "Fairness gap as a share of its threshold",
        "Which segment is treated worse than before, and since when; 100 % is the threshold, which is wider for "
        "segments with fewer rows.",
        "percentunit",
        NONE_LABELLED,
    )
    share = share_of_threshold("sextant_fairness_gap_ratio", "sextant_fairness_gap_threshold")
    return history(text, Query(f"max by (segment) ({share})", "{{segment}}"), colours.shares())
