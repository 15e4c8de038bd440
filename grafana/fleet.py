"""Fleet: all models on one page, one row for each model and version, the worst first."""

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as models

from grafana import colours, tables
from grafana.page import Page, Section, Sized, assemble
from grafana.panels import Query, Text, lines, number, timeline
from grafana.shared import FIRING, MODEL_VERSION, OF_A_MODEL, evaluation_age, latency, of, rate
from grafana.tables import Column

LIVE = f"max by ({MODEL_VERSION}) ({of('sextant_model_info')})"
NO_MODEL = "no model is live"
OF_ROW = "var-model=${__data.fields.Model:percentencode}&var-version=${__data.fields.Version:percentencode}"
KEPT = "var-datasource=${datasource}&${__url_time_range}"


def dashboard() -> models.Dashboard:
    """The dashboard sextant-fleet."""
    return assemble(
        Page(
            uid="sextant-fleet",
            title="Fleet",
            description="All models on one page, the worst first; each row leads to the model's own dashboards.",
            sections=(_now(), _since()),
        )
    )


def _now() -> Section:
    panels = (_paging(), _warnings(), _drifting(), _degraded(), _live(), _down())
    top = tuple(Sized(panel, 4, 3) for panel in panels)
    return Section("Now", (top, (Sized(_table(), 24, 9),), (Sized(_alerts(), 24, 8),)))


def _since() -> Section:
    return Section("Since when", ((Sized(_states(), 12, 9), Sized(_rates(), 12, 9)),))


def _alerts_of(severity: str) -> str:
    counted = f'count by (model) (ALERTS{{alertstate="firing",severity=~"{severity}",model=~"$model"}})'
    return f"({LIVE} * on (model) group_left () {counted} or {LIVE} * 0)"


def _worst(metric: str) -> str:
    return f"max by ({MODEL_VERSION}) ({of(metric)})"


def _live_only(expression: str) -> str:
    return f"{expression} and on ({MODEL_VERSION}) {LIVE}"


def _trouble() -> str:
    drifted = f"({_worst('sextant_drifted_features_ratio')} or {LIVE} * 0)"
    degraded = f"({_worst('sextant_performance_degradation_detected')} or {LIVE} * 0)"
    return f"1000 * {_alerts_of('page')} + 10 * {_alerts_of('warning')} + 100 * {degraded} + 9 * {drifted}"


def _columns() -> list[Column]:
    drift = colours.verdict("no drift", "drift")
    performance = colours.verdict("as expected", "degraded", colours.BAD)
    share = colours.bad_above(0.5, warn=0.0001)
    return [
        Column("Alerts", _alerts_of("page|warning"), "short", 0, colours.bad_above(1)),
        Column("Performance", _worst("sextant_performance_degradation_detected"), words=performance),
        Column("Error growth", _worst("sextant_performance_degradation_ratio"), "percentunit", 0),
        Column("Dataset", _worst("sextant_dataset_drift"), words=drift),
        Column("Drifted features", _worst("sextant_drifted_features_ratio"), "percentunit", 0, share),
        Column("p95", _live_only(latency(0.95, "model", "version")), "s", 1, colours.bad_above(1, warn=0.25)),
        Column(
            "Predictions", _live_only(f"sum by ({MODEL_VERSION}) ({rate('sextant_predictions_total')})"), "reqps"
        ),
        Column("Label coverage", _worst("sextant_label_coverage_ratio"), "percentunit", 0),
        Column("Evaluated ago", evaluation_age("model", "version"), "s", 0, colours.bad_above(900, warn=120)),
        Column("Trouble", _trouble(), "short", 0),
    ]


def _table() -> table.Panel:
    text = Text(
        "Models",
        "One row for each live model and version, the worst first: by alerts that page, degraded performance, "
        "warnings and drift (together: Trouble). A click on the model leads to its dashboards; a dash is no data.",
        empty=NO_MODEL,
    )
    panel = tables.rows(text, {"model": "Model", "version": "Version"}, _columns(), worst_by="Trouble")
    pages = {"Live drift": "live-drift", "Performance": "performance", "Health": "health"}
    links = {title: f"/d/sextant-{page}?{OF_ROW}&{KEPT}" for title, page in pages.items()}
    return tables.linked(panel, "Model", links)


def _alerts() -> table.Panel:
    text = Text(
        "Firing alerts",
        "What wants someone's attention, pages first. A click on the alert opens its runbook.",
        empty="nothing fires",
    )
    names = ("alertname", "severity", "model", "version", "feature", "segment", "sink", "job")
    headings = {name: name.capitalize() for name in names} | {"alertname": "Alert"}
    panel = tables.listing(text, f"max by ({', '.join(names)}) ({FIRING})", headings, "Severity")
    severities = colours.words(("page", "page", colours.BAD), ("warning", "warning", colours.WARN))
    panel = tables.painted(panel, "Severity", severities)
    return tables.linked(panel, "Alert", {"Runbook": "${live_page}/docs/runbooks/${__data.fields.Alert}.md"})


def _paging() -> stat.Panel:
    text = Text(
        "Paging", "Firing alerts that page: performance or loss. Their runbooks are in the list below.", "short"
    )
    return number(text, _count("page"), limits=colours.bad_above(1))


def _warnings() -> stat.Panel:
    text = Text("Warnings", "Firing alerts that can wait for the morning.", "short")
    return number(text, _count("warning"), limits=colours.steps((None, colours.GOOD), (1, colours.WARN)))


def _count(severity: str) -> str:
    return f'count(ALERTS{{alertstate="firing",severity="{severity}",model=~"$model|"}}) or vector(0)'


def _drifting() -> stat.Panel:
    text = Text(
        "Models that drift", "Live models whose data have left their reference.", "short", "none judged yet"
    )
    drifting = f"sum({_worst('sextant_dataset_drift')})"
    return number(text, drifting, limits=colours.steps((None, colours.GOOD), (1, colours.WARN)))


def _degraded() -> stat.Panel:
    text = Text(
        "Models degraded", "Live models whose labelled error grew beyond chance.", "short", "no labels yet"
    )
    return number(text, f"sum({_worst('sextant_performance_degradation_detected')})", limits=colours.bad_above(1))


def _live() -> stat.Panel:
    text = Text("Models live", "Models and versions that answer or are monitored.", "short", NO_MODEL)
    return number(text, f"count({LIVE})")


def _down() -> stat.Panel:
    text = Text(
        "Services down", "Services that Prometheus does not reach; the dashboard Health names them.", "short"
    )
    return number(text, "count(up == 0) or vector(0)", limits=colours.bad_above(1))


def _states() -> statetimeline.Panel:
    text = Text(
        "Dataset drift by model",
        "When each model's data were beyond their reference. Models that drift at the same moment share a source.",
        empty="not judged yet",
    )
    query = Query(f"max by (model) ({of('sextant_dataset_drift')})", "{{model}}")
    return timeline(text, query, mappings=colours.verdict("no drift", "drift"))


def _rates() -> timeseries.Panel:
    text = Text(
        "Predictions by model", "Predictions a second. A model at 0 is idle, or its clients are away.", "reqps"
    )
    query = Query(f"sum by (model) ({rate('sextant_predictions_total', OF_A_MODEL)})", "{{model}}")
    return lines(text, query, many=True).min(0)
