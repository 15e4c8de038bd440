"""Which rate of false alarms may be stated after so many days of reference."""

from sextant.evaluation.in_time.null import FEWEST_DAYS, FEWEST_DAYS_TO_RELY_ON

FEWEST_DAYS_FOR_THE_RATE_SET = 14


def alarm_rate(days: int | None) -> str:
    """The statement for people, half a sentence; None: the rows have no time."""
    if days is None:
        return "thresholds are valid for randomly ordered rows only"
    if days < FEWEST_DAYS:
        return f"scores only: alarms take {FEWEST_DAYS} days or more"
    if days < FEWEST_DAYS_TO_RELY_ON:
        return f"alarms are provisional: their rate can be stated from {FEWEST_DAYS_TO_RELY_ON} days on"
    if days < FEWEST_DAYS_FOR_THE_RATE_SET:
        return f"up to 6 % false alarms where 1 % is set, until there are {FEWEST_DAYS_FOR_THE_RATE_SET} days"
    return "false alarms at the rate that is set"
