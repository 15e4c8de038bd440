"""The verdicts beside drift that are bad, in a word or two each, for lists and badges."""

from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.error_growth import ErrorGrowth


def other_alarms(found: Evaluation) -> list[str]:
    """What is wrong with a window although, or besides that, its data drifted."""
    gaps = [segment.fairness_gap for segment in found.segments.values()]
    alarms = {
        "errs more than before": _grew(found.performance_degradation),
        "unexplained error": _grew(found.concept_drift),
        "estimated to err more": _grew(found.estimated_degradation),
        "fairness gap": any(map(_grew, gaps)),
        "data quality": any(verdict.detected for verdict in found.data_quality),
    }
    return [text for text, alarmed in alarms.items() if alarmed]


def _grew(growth: ErrorGrowth | None) -> bool:
    return growth is not None and bool(growth.drifted)
