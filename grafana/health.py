"""Service health: whether predictions are answered, how fast, how near to the limits, and at what cost."""

from grafana_foundation_sdk.builders import heatmap, stat, timeseries
from grafana_foundation_sdk.models import dashboard as models

from grafana import colours, cost, machine
from grafana.page import Page, Section, Sized, assemble
from grafana.panels import Query, Text, buckets, lines, number, numbers
from grafana.shared import MODEL_VERSION, OF_A_MODEL, error_ratio, firing_alerts, latency, of, rate, same_hour

IDLE = "no requests"
SERVICES = 'job=~"prediction|relay|monitoring"'
SLOW = 1.0
"""Seconds; where HighLatency pages."""


def dashboard() -> models.Dashboard:
    """The dashboard sextant-health."""
    return assemble(
        Page(
            uid="sextant-health",
            title="Service health",
            description="Whether predictions are answered, how fast, how near to the limits, and at what cost.",
            sections=(_now(), _requests(), _processes(), cost.section(), machine.node(), machine.mongodb()),
        )
    )


def _now() -> Section:
    panels = (_services(), _errors_now(), _slowest(), _rate_now(), _fullest(), firing_alerts())
    widths = (8, 4, 3, 3, 3, 3)
    return Section("Now", (tuple(Sized(panel, width, 5) for panel, width in zip(panels, widths, strict=True)),))


def _requests() -> Section:
    first = tuple(Sized(panel, 6, 8) for panel in (_rate(), _usual(), _outcomes(), _errors()))
    second = (Sized(_latency_map(), 8, 9), Sized(_quantiles(), 8, 9), Sized(_p95(), 8, 9))
    return Section("Requests", (first, second))


def _processes() -> Section:
    first = (Sized(_cpu(), 8, 7), Sized(_memory(), 8, 7), Sized(_files(), 8, 7))
    return Section("Saturation", (first, (Sized(_outbox(), 12, 7), Sized(_evaluation(), 12, 7))))


def _services() -> stat.Panel:
    text = Text(
        "Services",
        "Whether Prometheus reaches each service. Down: `make up`, or the service's log; while monitoring is "
        "down, drift is not judged, and predictions go on.",
        empty="Prometheus knows no service",
    )
    words = colours.words(("0", "down", colours.BAD), ("1", "up", colours.GOOD))
    limits = colours.steps((None, colours.GREY))
    return numbers(text, Query("min by (job) (up)", "{{job}}"), limits=limits).mappings(words)


def _errors_now() -> stat.Panel:
    text = Text(
        "Failed predictions",
        "Share that the service could not answer (unavailable or error). What a client got wrong does not count.",
        "percentunit",
        IDLE,
    )
    return number(text, error_ratio(), limits=colours.bad_above(0.05, warn=0.01)).decimals(1)


def _slowest() -> stat.Panel:
    text = Text("p95", "Nineteen of twenty requests are answered faster. Above a second it pages.", "s", IDLE)
    return number(text, latency(0.95), limits=colours.bad_above(SLOW, warn=SLOW / 4))


def _rate_now() -> stat.Panel:
    text = Text("Predictions", "Predictions a second, whatever their outcome.", "reqps", IDLE)
    return number(text, f"sum({rate('sextant_predictions_total')})")


def _fullest() -> stat.Panel:
    text = Text(
        "Outbox used",
        "Share of the outbox's limit; when full, /predict answers 503. See the dashboard Delivery.",
        "percentunit",
    )
    used = "max(sextant_outbox_bytes / sextant_outbox_limit_bytes)"
    return number(text, used, limits=colours.bad_above(0.9, warn=0.5)).decimals(0)


def _rate() -> timeseries.Panel:
    text = Text(
        "Predictions by model and version",
        "Predictions a second. Two versions at once should last no longer than a change of version.",
        "reqps",
        IDLE,
    )
    query = f"sum by ({MODEL_VERSION}) ({rate('sextant_predictions_total', OF_A_MODEL)})"
    return lines(text, Query(query, "{{model}} {{version}}")).min(0)


def _usual() -> timeseries.Panel:
    means = "Far below: ask the clients; far above: see that latency and the outbox hold."
    return same_hour("Traffic against other days", means, "model:sextant_predictions_rate1h:zscore7d")


def _outcomes() -> timeseries.Panel:
    text = Text(
        "Predictions by outcome",
        "ok; invalid: the client's request; unavailable: outbox full or no model; error: ours.",
        "reqps",
        IDLE,
    )
    return lines(text, Query(f"sum by (outcome) ({rate('sextant_predictions_total')})", "{{outcome}}")).min(0)


def _errors() -> timeseries.Panel:
    text = Text(
        "Failed share by model and version",
        "Share of predictions that ended in unavailable or error. Above the line: read the service's log by its "
        "request ids.",
        "percentunit",
        IDLE,
    )
    return lines(text, Query(error_ratio("model", "version"), "{{model}} {{version}}"), threshold=0.05)


def _latency_map() -> heatmap.Panel:
    text = Text(
        "Latency",
        "How many requests took how long. Two bands are two kinds of request; a band that climbs is a queue.",
        "s",
        IDLE,
    )
    counts = of("sextant_prediction_duration_seconds_bucket")
    return buckets(text, f"sum by (le) (increase({counts}[$__rate_interval]))")


def _quantiles() -> timeseries.Panel:
    text = Text(
        "p50, p95, p99",
        "Time from the start of a request to its answer, the write to disk included. p99 alone rising is often "
        "the disk.",
        "s",
        IDLE,
    )
    quantiles = (Query(latency(q / 100), f"p{q}") for q in (50, 95, 99))
    return lines(text, *quantiles).min(0)


def _p95() -> timeseries.Panel:
    text = Text("p95 by model and version", "Which model is slow; the line is where it pages.", "s", IDLE)
    return lines(text, Query(latency(0.95, "model", "version"), "{{model}} {{version}}"), threshold=SLOW)


def _cpu() -> timeseries.Panel:
    text = Text(
        "Processor",
        "Cores that each service uses. Prediction at its number of workers is saturated: add workers or machines.",
        "short",
    )
    query = f"sum by (job) (rate(process_cpu_seconds_total{{{SERVICES}}}[$__rate_interval]))"
    return lines(text, Query(query, "{{job}}")).min(0)


def _memory() -> timeseries.Panel:
    text = Text("Memory", "Resident memory of each service. A slope that never ends is a leak.", "bytes")
    query = f"sum by (job) (process_resident_memory_bytes{{{SERVICES}}})"
    return lines(text, Query(query, "{{job}}")).min(0)


def _files() -> timeseries.Panel:
    text = Text(
        "Open files",
        "Share of the file descriptors that a service may open. At 100 % it takes no connection any more.",
        "percentunit",
    )
    query = f"max by (job) (process_open_fds{{{SERVICES}}} / process_max_fds{{{SERVICES}}})"
    return lines(text, Query(query, "{{job}}"), threshold=0.9)


def _outbox() -> timeseries.Panel:
    text = Text(
        "Outbox",
        "Bytes of the outbox and its limit (dashed), beyond which predictions are refused rather than lost.",
        "bytes",
    )
    return lines(text, Query("sextant_outbox_bytes", "used"), Query("sextant_outbox_limit_bytes", "limit")).min(0)


def _evaluation() -> timeseries.Panel:
    text = Text(
        "Evaluation",
        "How long judging a window takes. Longer than EVALUATE_EVERY, and the verdicts come late.",
        "s",
        "not judged yet",
    )
    query = f"max by ({MODEL_VERSION}) ({of('sextant_evaluation_duration_seconds')})"
    return lines(text, Query(query, "{{model}} {{version}}")).min(0)
