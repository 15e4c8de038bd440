"""What predictions cost and which models stand idle, as a section of the health dashboard."""

from grafana_foundation_sdk.builders import statushistory, timeseries

from grafana import colours
from grafana.page import Section, Sized
from grafana.panels import Query, Text, history, lines
from grafana.shared import MODEL_VERSION, of

NAME = "{{model}} {{version}}"


def section() -> Section:
    """Processor time, money and idleness by model and version."""
    return Section("Cost and idleness", ((Sized(_money(), 8, 7), Sized(_cpu(), 8, 7), Sized(_idle(), 8, 7)),))


def _cpu_per_prediction() -> str:
    spent = f"sum by ({MODEL_VERSION}) (rate({of('sextant_prediction_cpu_seconds_total')}[1h]))"
    answered = of("sextant_predictions_total", 'outcome="ok"')
    return f"{spent} / (sum by ({MODEL_VERSION}) (rate({answered}[1h])) > 0)"


def _money() -> timeseries.Panel:
    text = Text(
        "Cost of a thousand predictions",
        "Processor time of the last hour at CPU_PRICE_PER_HOUR, in that price's currency. Idle workers, disk and "
        "memory are not in it.",
        "short",
        "no predictions in the last hour, or CPU_PRICE_PER_HOUR is not set",
    )
    cost = f"1000 * {_cpu_per_prediction()} / 3600 * on () group_left () max(sextant_cpu_price_per_hour)"
    return lines(text, Query(cost, NAME)).min(0)


def _cpu() -> timeseries.Panel:
    text = Text(
        "Processor time of a prediction",
        "Seconds of one core for one prediction, over the last hour. Compare versions before one replaces "
        "another.",
        "s",
        "no predictions in the last hour",
    )
    return lines(text, Query(_cpu_per_prediction(), NAME)).min(0)


def _idle() -> statushistory.Panel:
    text = Text(
        "Idle share of the last hour",
        "Share of the last hour in which a live model was asked nothing. At 100 % for days it can be retired.",
        "percentunit",
        "no model is live",
    )
    busy = f"sum by ({MODEL_VERSION}) (rate({of('sextant_predictions_total')}[5m])) > bool 0"
    live = f"max by ({MODEL_VERSION}) ({of('sextant_model_info')})"
    idle = f"((1 - avg_over_time(({busy})[1h:1m])) and {live}) or {live}"
    limits = colours.steps((None, colours.GOOD), (0.5, colours.NEAR), (0.999, colours.WARN))
    return history(text, Query(idle, NAME), limits)
