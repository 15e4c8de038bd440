"""Which rate of false alarms may be stated after so many days of reference."""

FOR_SCORES, FOR_A_RATE, FOR_THE_STATED_RATE = 3, 7, 14
"""Days from which on there are alarms, their rate can be stated, and it is the one that is set."""


def alarm_rate(days: int | None) -> str:
    """The statement for people, half a sentence; None: the rows have no time."""
    if days is None:
        return "thresholds are valid for randomly ordered rows only"
    if days < FOR_SCORES:
        return f"scores only: alarms take {FOR_SCORES} days or more"
    if days < FOR_A_RATE:
        return f"alarms are provisional: their rate can be stated from {FOR_A_RATE} days on"
    if days < FOR_THE_STATED_RATE:
        return f"up to 6 % false alarms where 1 % is set, until there are {FOR_THE_STATED_RATE} days"
    return "false alarms at the rate that is set"
