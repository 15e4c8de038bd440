"""Verdicts in a word or two, for people who look at the live page."""

from dataclasses import dataclass

from monitoring_service.model_monitor import MultivariateOutcome
from sextant.evaluation.alarms import other_alarms
from sextant.evaluation.by_segment import SegmentEvaluation
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.error_growth import ErrorGrowth


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict in a word or two, and how it looks: good, bad or quiet."""

    text: str
    kind: str


def model_badges(evaluation: Evaluation, together: MultivariateOutcome | None) -> list[Badge]:
    """Whether anything drifted, and each of the other verdicts that alarms."""
    drifted_together = together is not None and together.drift.drifted
    alarms = [*(["features drifted together"] if drifted_together else []), *other_alarms(evaluation)]
    return [_drift_badge(evaluation), *(Badge(text, "bad") for text in alarms)]


def _drift_badge(evaluation: Evaluation) -> Badge:
    if evaluation.dataset_drift is None:
        return Badge("no verdict" if evaluation.calibrated else "not calibrated yet", "quiet")
    return Badge("drift", "bad") if evaluation.dataset_drift else Badge("no drift", "good")


def growth_badge(found: ErrorGrowth | None) -> Badge:
    """By how much an error grew, and how much of that may be chance."""
    if found is None:
        return Badge("too few labels", "quiet")
    if found.threshold is None:
        return Badge(f"{found.ratio:+.0%}", "quiet")
    return Badge(f"{found.ratio:+.0%} (chance: up to {found.threshold:+.0%})", "bad" if found.drifted else "good")


def segment_badge(found: SegmentEvaluation) -> Badge:
    """Which columns of a segment drifted."""
    if found.drifted is None:
        return Badge("too few rows", "quiet")
    return Badge(", ".join(found.drifted_columns), "bad") if found.drifted else Badge("no drift", "good")
