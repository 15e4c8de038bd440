"""Verdicts as people read them: which alarm, how each was judged, and by how much."""

from collections.abc import Iterable

from sextant.evaluation.verdict import Verdict, detected
from sextant.evaluation.verdicts import BY_NAME, KINDS, Kind


def alarms(verdicts: Iterable[Verdict]) -> list[tuple[Kind, list[Verdict]]]:
    """What is detected, by kind in the table's order, the furthest first; without kinds that another sums up."""
    found = detected(verdicts)
    by_kind = ((kind, [v for v in found if v.name == kind.name]) for kind in KINDS if not kind.summed_up_by)
    return [(kind, ours) for kind, ours in by_kind if ours]


def judgement(verdict: Verdict) -> str:
    """A verdict in a word or two, with the columns that it sums up."""
    if verdict.detected is None:
        return "no verdict"
    kind, causes = BY_NAME[verdict.name], ", ".join(cause.subject for cause in detected(verdict.causes))
    return kind.no if not verdict.detected else f"{kind.yes}: {causes}" if causes else kind.yes


def in_words(verdict: Verdict) -> str:
    """A verdict's value beside its threshold or the reference's value, as people read it; or why there is none."""
    if verdict.value is None:
        return f"not judged: {verdict.reason}"
    form = {"score": ".3g", "ratio": "+,.1%", "share": ".1%"}[BY_NAME[verdict.name].unit]
    text = f"{verdict.value:{form}}"
    if verdict.detected is None:
        return f"{text} ({verdict.reason})"
    if verdict.threshold is not None:
        side = "within" if (verdict.threshold_ratio or 0.0) <= 1.0 else "beyond"
        much = f"; {verdict.effect.in_words()}" if verdict.effect else ""
        much += f" ({verdict.reason})" if verdict.reason else ""
        return f"{text}, {side} the threshold of {verdict.threshold:{form}}{much}"
    return judgement(verdict) if verdict.reference is None else f"{text} (reference {verdict.reference:{form}})"
