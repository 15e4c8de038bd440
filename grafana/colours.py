"""Colours that people tell apart whatever their colour vision (after Okabe and Ito), and what they stand for."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

GOOD = "#009E73"
NEAR = "#F0E442"
WARN = "#FFB300"  # lighter than theirs: Grafana writes on their orange in white, which is hard to read
BAD = "#D55E00"
MARK = "#0072B2"
GREY = "#7F7F7F"

Step = tuple[float | None, str]


def steps(*pairs: Step) -> builders.ThresholdsConfig:
    """Thresholds from (value from which, colour); the first has no value."""
    thresholds = [models.Threshold(value=value, color=colour) for value, colour in pairs]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(thresholds)


def either_side(limit: float) -> builders.ThresholdsConfig:
    """Bad beyond the limit, above or below 0; between them nothing is drawn."""
    return steps((None, BAD), (-limit, "transparent"), (limit, BAD))


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


def nothing(colour: str = GREY, text: str | None = None) -> models.ValueMapping:
    """No value is neither good nor bad; Grafana would colour it like the lowest one."""
    result = models.ValueMappingResult(text=text, color=colour, index=99)
    match = models.SpecialValueMatch.NULL_AND_NAN
    return models.SpecialValueMap(options=models.DashboardSpecialValueMapOptions(match=match, result=result))


def verdict(fine: str, wrong: str, colour: str = WARN) -> list[models.ValueMapping]:
    """Words for a 0/1 metric whose 1 is bad news."""
    return words(("0", fine, GOOD), ("1", wrong, colour))
