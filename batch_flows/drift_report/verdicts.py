"""The verdicts beside drift, as a report states them: is the model worse, for whom, and are the data sound?"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sextant.evaluation.evaluate import Evaluation
    from sextant.evaluation.performance.error_growth import ErrorGrowth


def verdict_facts(found: "Evaluation") -> dict[str, str]:
    """A fact for each verdict; empty where nothing could be judged."""
    return {
        "Error against the reference": _growth(found.performance_degradation),
        "Error that the rows do not explain": _growth(found.concept_drift),
        "Estimated error against the reference": _growth(found.estimated_degradation),
        "Fairness": _fairness(found),
        "Data quality": _quality(found),
    }


def verdict_metrics(found: "Evaluation") -> dict[str, Any]:
    """The same for programs: ratio, threshold and verdict of each growth, and the checks that failed."""
    return {
        "performance_degradation_ratio": found.performance_degradation.ratio
        if found.performance_degradation
        else None,
        "performance_degradation": _fields(found.performance_degradation),
        "concept_drift": _fields(found.concept_drift),
        "estimated_degradation": _fields(found.estimated_degradation),
        "data_quality": [asdict(verdict) for verdict in found.data_quality if verdict.detected],
    }


def _fields(growth: "ErrorGrowth | None") -> dict[str, Any] | None:
    return asdict(growth) if growth else None


def _growth(growth: "ErrorGrowth | None") -> str:
    if growth is None:
        return ""
    if growth.threshold is None:
        return f"{growth.ratio:+.1%}"
    verdict = "beyond" if growth.drifted else "within"
    return f"{growth.ratio:+.1%}, {verdict} chance (up to {growth.threshold:+.1%})"


def _fairness(found: "Evaluation") -> str:
    gaps = {name: segment.fairness_gap for name, segment in found.segments.items() if segment.fairness_gap}
    worse = [f"{name} {_growth(gap)}" for name, gap in gaps.items() if gap.drifted]
    return "; ".join(worse) or ("no segment stands worse than on the reference" if gaps else "")


def _quality(found: "Evaluation") -> str:
    wrong = [
        f"{verdict.feature}: {verdict.ratio:.1%} {verdict.check.replace('_', ' ')} (reference "
        f"{verdict.reference_ratio:.1%})"
        for verdict in found.data_quality
        if verdict.detected
    ]
    judged = any(verdict.detected is not None for verdict in found.data_quality)
    return "; ".join(wrong) or ("as on the reference" if judged else "")
