"""Colours that people tell apart whatever their colour vision (Okabe and Ito's), and what they stand for."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

GOOD = "#009E73"
NEAR = "#F0E442"
WARN = "#E69F00"
BAD = "#D55E00"
PLAIN = "#0072B2"
GREY = "#7F7F7F"

Step = tuple[float | None, str]


def steps(*pairs: Step) -> builders.ThresholdsConfig:
    """Thresholds from (value from which, colour); the first has no value."""
    thresholds = [models.Threshold(value=value, color=colour) for value, colour in pairs]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(thresholds)


def plain() -> builders.ThresholdsConfig:
    """One colour: the number is neither good nor bad."""
    return steps((None, PLAIN))


def bad_above(limit: float, warn: float | None = None) -> builders.ThresholdsConfig:
    """Good below, bad from the limit on, with a warning before it where one is given."""
    middle: list[Step] = [] if warn is None else [(warn, WARN)]
    return steps((None, GOOD), *middle, (limit, BAD))


def bad_below(limit: float, good: float) -> builders.ThresholdsConfig:
    """Bad up to the limit, a warning up to `good`."""
    return steps((None, BAD), (limit, WARN), (good, GOOD))


def shares() -> builders.ThresholdsConfig:
    """For scores as a share of their threshold: 1 is the threshold."""
    return steps((None, GOOD), (0.75, NEAR), (1, WARN), (2, BAD))


def words(*texts: tuple[str, str, str]) -> list[models.ValueMapping]:
    """Values shown as words, from (value, text, colour)."""
    found = {
        value: models.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, text, colour) in enumerate(texts)
    }
    return [models.ValueMap(options=found)]


def verdict(fine: str, wrong: str, colour: str = WARN) -> list[models.ValueMapping]:
    """Words for a 0/1 metric whose 1 is bad news."""
    return words(("0", fine, GOOD), ("1", wrong, colour))
