"""Delivery: whether every accepted event reached each sink, how far behind it is, how long the outbox lasts."""

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import dashboard as models

from grafana import colours
from grafana.page import ALL, Page, Section, Sized, assemble, choice, several
from grafana.panels import Query, Text, lines, numbers
from grafana.shared import firing_alerts

NO_RELAY = "the relay does not answer"
SINK = 'sink=~"$sink"'
NAME = "{{sink}}"


def dashboard() -> models.Dashboard:
    """The dashboard sextant-delivery."""
    sink = choice("sink", "Sink", "label_values(sextant_outbox_events, sink)")
    return assemble(
        Page(
            uid="sextant-delivery",
            title="Delivery",
            description="Whether every accepted event reached each sink, and how far behind the sinks are.",
            sections=(_now(), _flow(), _losses(), _outbox()),
            variables=(several(sink, at_first=ALL),),
            by_model=False,
        )
    )


def _now() -> Section:
    panels = (_conserved(), _dead_now(), _age_now(), _queued_now(), _skipped_now(), firing_alerts())
    return Section("Now", (tuple(Sized(panel, 4, 5) for panel in panels),))


def _flow() -> Section:
    first = (Sized(_accepted(), 12, 8), Sized(_delivered(), 12, 8))
    return Section("Flow", (first, (Sized(_queued(), 12, 8), Sized(_age(), 12, 8))))


def _losses() -> Section:
    panels = (_failures(), _dead_letters(), _skipped(), _conservation())
    return Section("Failures and losses", (tuple(Sized(panel, 6, 8) for panel in panels),))


def _outbox() -> Section:
    return Section("Outbox", ((Sized(_bytes(), 18, 8), Sized(_full_in(), 6, 8)),))


def _of(metric: str) -> str:
    return f"{metric}{{{SINK}}}"


def _by_sink(metric: str) -> str:
    return f"sum by (sink) ({_of(metric)})"


def _rate(metric: str) -> str:
    return f"sum by (sink) (rate({_of(metric)}[$__rate_interval]))"


def _missing() -> str:
    accepted, *accounted = (
        "sextant_events_accepted_total",
        "sextant_events_delivered_total",
        "sextant_outbox_events",
        "sextant_events_dead_lettered_total",
        "sextant_events_skipped_total",
    )
    return " - ".join(_by_sink(metric) for metric in (accepted, *accounted))


def _conserved() -> stat.Panel:
    text = Text(
        "Conservation",
        "accepted - delivered - queued - dead-lettered - skipped. Anything but 0 is events lost or counted twice: "
        "keep the outbox file and follow the runbook ConservationBroken.",
        "short",
        NO_RELAY,
    )
    limits = colours.steps((None, colours.BAD), (0, colours.GOOD), (1, colours.BAD))
    return numbers(text, Query(_missing(), NAME), limits=limits).decimals(0)


def _dead_now() -> stat.Panel:
    text = Text(
        "Dead letters",
        "Events that a sink refuses for good, kept with the reason. Each is a prediction that MongoDB or "
        "monitoring does not have: read the reason, repair, deliver again.",
        "short",
        NO_RELAY,
    )
    query = Query(_by_sink("sextant_events_dead_lettered_total"), NAME)
    return numbers(text, query, limits=colours.bad_above(1))


def _age_now() -> stat.Panel:
    text = Text("Oldest waiting", "Age of the oldest event that waits: the lag of the sink.", "s", NO_RELAY)
    query = Query(f"max by (sink) ({_of('sextant_outbox_oldest_age_seconds')})", NAME)
    return numbers(text, query, limits=colours.bad_above(600, warn=60)).decimals(0)


def _queued_now() -> stat.Panel:
    text = Text("Queued", "Events that are safe on disk and wait for the sink.", "short", NO_RELAY)
    return numbers(text, Query(_by_sink("sextant_outbox_events"), NAME))


def _skipped_now() -> stat.Panel:
    text = Text(
        "Skipped",
        "Events skipped because the sink was too far behind. Only monitoring skips, and refills from MongoDB.",
        "short",
        NO_RELAY,
    )
    query = Query(_by_sink("sextant_events_skipped_total"), NAME)
    return numbers(text, query, limits=colours.steps((None, colours.GOOD), (1, colours.WARN)))


def _accepted() -> timeseries.Panel:
    text = Text("Accepted", "Events a second that were acknowledged and so must arrive, by sink.", "eps", NO_RELAY)
    return lines(text, Query(_rate("sextant_events_accepted_total"), NAME)).min(0)


def _delivered() -> timeseries.Panel:
    text = Text(
        "Delivered",
        "Events a second that the sinks took. Below accepted the queue grows; above it, a backlog is being "
        "worked off.",
        "eps",
        NO_RELAY,
    )
    return lines(text, Query(_rate("sextant_events_delivered_total"), NAME)).min(0)


def _queued() -> timeseries.Panel:
    text = Text(
        "Queued",
        "Events that wait, by sink. A line that only rises is a sink that is away; nothing is lost until the "
        "outbox is full.",
        "short",
        NO_RELAY,
    )
    return lines(text, Query(_by_sink("sextant_outbox_events"), NAME)).min(0)


def _age() -> timeseries.Panel:
    text = Text("Lag", "Age of the oldest waiting event. It falls to 0 when the queue is empty.", "s", NO_RELAY)
    return lines(text, Query(f"max by (sink) ({_of('sextant_outbox_oldest_age_seconds')})", NAME)).min(0)


def _failures() -> timeseries.Panel:
    text = Text(
        "Failed deliveries",
        "Batches a second that a sink did not take and that are sent again, after growing pauses.",
        "cps",
        NO_RELAY,
    )
    return lines(text, Query(_rate("sextant_delivery_failures_total"), NAME)).min(0)


def _dead_letters() -> timeseries.Panel:
    text = Text(
        "Dead letters",
        "All dead letters, by sink. A step dates what the sink began to refuse; look for a release.",
        "short",
        NO_RELAY,
    )
    return lines(text, Query(_by_sink("sextant_events_dead_lettered_total"), NAME)).min(0)


def _skipped() -> timeseries.Panel:
    text = Text(
        "Skipped", "All skipped events, by sink. A step is a time that monitoring was away.", "short", NO_RELAY
    )
    return lines(text, Query(_by_sink("sextant_events_skipped_total"), NAME)).min(0)


def _conservation() -> timeseries.Panel:
    text = Text(
        "Conservation",
        "Accepted minus all that is accounted for; the line must lie at 0, at any time.",
        "short",
        NO_RELAY,
    )
    return lines(text, Query(_missing(), NAME)).axis_soft_min(-1).axis_soft_max(1)


def _bytes() -> timeseries.Panel:
    text = Text(
        "Outbox",
        "Bytes that events and dead letters take, and the limit (dashed) beyond which /predict answers 503.",
        "bytes",
        NO_RELAY,
    )
    return lines(text, Query("sextant_outbox_bytes", "used"), Query("sextant_outbox_limit_bytes", "limit")).min(0)


def _full_in() -> stat.Panel:
    text = Text(
        "Outbox full in",
        "When the limit is met if the outbox grows as in the last half hour. Under four hours it pages: bring the "
        "sink back, or raise OUTBOX_MAX_BYTES.",
        "s",
        "not growing",
    )
    left = "sextant_outbox_limit_bytes - sextant_outbox_bytes"
    query = Query(f"({left}) / (deriv(sextant_outbox_bytes[30m]) > 0)", "full in")
    return numbers(text, query, limits=colours.bad_below(4 * 3600, good=24 * 3600)).decimals(0)
