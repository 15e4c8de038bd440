"""A verdict: one judgement of a window, and the same kind of thing for every metric, page and document."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

NOT_CALIBRATED = "not calibrated yet"


@dataclass(frozen=True, slots=True)
class Effect:
    """How much a column moved, in its own unit: its mean, or the category whose share changed most."""

    before: float
    now: float
    size: float
    """How far values moved on average (spread counts too), or by how much that share changed."""

    category: str | None = None
    smallest: float | None = None
    """Sizes below it are of no interest."""

    @property
    def matters(self) -> bool:
        """Whether it is as large as the smallest effect of interest."""
        return self.smallest is None or self.size >= self.smallest

    def in_words(self) -> str:
        """As people read it."""
        if self.category is not None:
            return f"share of {self.category} {self.now:.1%}, was {self.before:.1%}"
        return f"mean {self.now:.3g}, was {self.before:.3g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A value against its threshold, about the model or, where these are named, a column, a segment or both."""

    name: str
    """Of its entry in the table, `verdicts.KINDS`."""

    value: float | None = None
    threshold: float | None = None
    threshold_ratio: float | None = None
    """How far, in thresholds: beyond 1 it is detected, whichever way the method points."""

    detected: bool | None = None
    """None where it is not judged; `reason` says why."""

    reason: str = ""
    column: str = ""
    segment: str = ""
    check: str = ""
    method: str = ""

    reference: float | None = None
    """The same value on the reference, where there is one."""

    effect: Effect | None = None
    """How much of it there is, where that can be said in the column's own unit."""

    causes: tuple["Verdict", ...] = field(default=())
    """The verdicts that this one sums up, where they are in no list of their own."""

    @property
    def subject(self) -> str:
        """What it is about, in a few words; empty for the model."""
        about = f"{self.column} {self.check.replace('_', ' ')}".strip()
        return " in ".join(part for part in (about, self.segment) if part)

    def because(self, reason: str) -> Self:
        """The same without a judgement, and why."""
        return replace(self, threshold=None, threshold_ratio=None, detected=None, reason=reason)

    def as_dict(self) -> dict[str, Any]:
        """The one form for programs: name, subject, numbers, judgement; without the fields that do not apply."""
        found = {name: getattr(self, name) for name in ALWAYS}
        found |= {name: value for name in SOMETIMES if (value := getattr(self, name)) not in ("", None)}
        if self.effect is not None:
            found["effect"] = {key: value for key, value in asdict(self.effect).items() if value is not None}
        return found | ({"causes": as_dicts(self.causes)} if self.causes else {})


ALWAYS = ("name", "value", "threshold", "threshold_ratio", "detected")
SOMETIMES = ("reason", "column", "segment", "check", "method", "reference")


def as_dicts(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Verdicts in the one form for programs."""
    return [verdict.as_dict() for verdict in verdicts]


def detected(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those beyond their threshold: first those with a smallest effect of interest, then the furthest."""
    return sorted((verdict for verdict in verdicts if verdict.detected), key=_importance)


def _importance(verdict: Verdict) -> tuple[float, float]:
    effect = verdict.effect
    in_smallest = effect.size / effect.smallest if effect and effect.smallest else 0.0
    return -in_smallest, -(verdict.threshold_ratio or 0.0)


def furthest(verdicts: Iterable[Verdict]) -> float | None:
    """The largest share of its threshold that any of them reached."""
    return max((v.threshold_ratio for v in verdicts if v.threshold_ratio is not None), default=None)


def any_of(name: str, verdicts: tuple[Verdict, ...], *, segment: str = "", reason: str) -> Verdict:
    """Whether any of a family is detected: its value is the detected share of those that were judged."""
    judged = [verdict for verdict in verdicts if verdict.detected is not None]
    causes = verdicts if segment else ()
    if not judged:
        return Verdict(name, segment=segment, reason=reason, causes=causes)
    found = detected(judged)
    return Verdict(
        name,
        value=len(found) / len(judged),
        threshold_ratio=furthest(judged),
        detected=bool(found),
        segment=segment,
        causes=causes,
    )
