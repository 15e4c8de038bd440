"""The health summary's plots, as the JSON that plotly.js draws; colours of text and lines are the page's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from batch_flows.health_summary.facts import Health, ModelWeek, has_p95
from batch_flows.health_summary.history import ByHour

COLOURS = ("#3b82f6", "#d97706", "#10a37f", "#a855f7", "#e11d48", "#64748b")
DOWN_OR_UP = [[0, "#d1242f"], [0.999, "#f0a04b"], [1, "rgba(90,160,130,0.45)"]]
STEADY_OR_DRIFTING = [[0, "rgba(120,140,160,0.3)"], [1, "#d97706"]]
HALF_AN_HOUR = timedelta(minutes=30)
"""A value of an hour is drawn in its middle."""

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot: its caption and what plotly.js takes."""

    title: str
    data: list[Trace]
    layout: dict[str, Any]


def figures(health: Health) -> list[Figure]:
    """Every plot that has something to show, in the order of the page."""
    history = health.history
    drawn = [_volume(health), _latency(health)]
    if history:
        drawn.append(_heat_map("Availability by hour", history.uptime_by_hour, health, DOWN_OR_UP))
        drawn.append(_heat_map("Share of each hour in drift", history.drift_by_hour, health, STEADY_OR_DRIFTING))
    drawn += [_drift_reports(health), _coverage(health)]
    return [figure for figure in drawn if figure.data]


def _volume(health: Health) -> Figure:
    data = [
        {
            "type": "bar",
            "name": model.model,
            **_by_hour(health, {start: hour.rows for start, hour in model.hours.items()}),
            "hovertemplate": "%{hovertext}: %{y:,} predictions<extra>%{fullData.name}</extra>",
            "marker": {"color": colour},
        }
        for model, colour in _coloured(health)
        if model.rows
    ]
    return Figure("Predictions by hour", data, _layout(health, barmode="stack", bargap=0))


def _latency(health: Health) -> Figure:
    if health.history and has_p95(health):
        title, by_model = "95th percentile of the latency by hour (ms)", _scaled(health.history.p95, 1_000)
    else:
        title, by_model = "Mean latency by hour (ms)", {model.model: _means(model) for model in health.models}
    return Figure(title, _lines(health, by_model, "%{hovertext}: %{y:.3g} ms"), _layout(health))


def _coverage(health: Health) -> Figure:
    by_model = {model.model: model.labelled for model in health.models}
    lines = _lines(health, by_model, "%{hovertext}: %{y:.1%}")
    return Figure("Label coverage, as of now", lines, _share_layout(health))


def _drift_reports(health: Health) -> Figure:
    data = [_of_reports(model, colour) for model, colour in _coloured(health) if model.reports]
    return Figure("Share of columns that drifted, by drift report", data, _share_layout(health))


def _of_reports(model: ModelWeek, colour: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": model.model,
        "x": [_moment(report.window.end) for report in model.reports],
        "y": [report.drifted_ratio for report in model.reports],
        "hovertext": [", ".join(report.drifted_columns) for report in model.reports],
        "hovertemplate": "report to %{x}: %{y:.1%} %{hovertext}<extra>%{fullData.name}</extra>",
        "line": {"color": colour},
        "marker": {"symbol": ["diamond" if report.dataset_drift else "circle" for report in model.reports]},
    }


def _lines(health: Health, by_model: Mapping[str, ByHour], hover: str) -> list[Trace]:
    colours = {model.model: colour for model, colour in _coloured(health)}
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            **_by_hour(health, hours),
            "hovertemplate": f"{hover}<extra>%{{fullData.name}}</extra>",
            "line": {"color": colours.get(name, COLOURS[-1])},
            "marker": {"size": 4},
        }
        for name, hours in by_model.items()
        if hours
    ]


def _heat_map(title: str, by_name: Mapping[str, ByHour], health: Health, scale: list[list[Any]]) -> Figure:
    rows = [[hours.get(hour) for hour in health.hours] for hours in by_name.values()]
    trace = {
        "type": "heatmap",
        "x": [_moment(hour + HALF_AN_HOUR) for hour in health.hours],
        "y": list(by_name),
        "z": rows,
        "zmin": 0,
        "zmax": 1,
        "colorscale": scale,
        "showscale": False,
        "ygap": 3,
        "hovertemplate": "%{y}, hour around %{x}: %{z:.1%}<extra></extra>",
    }
    height = 90 + 34 * len(rows)
    return Figure(title, [trace] if rows else [], _layout(health, height=height, yaxis={"type": "category"}))


def _by_hour(health: Health, values: Mapping[datetime, float | None]) -> Trace:
    hours = health.hours
    return {
        "x": [_moment(hour + HALF_AN_HOUR) for hour in hours],
        "y": [values.get(hour) for hour in hours],
        "hovertext": [f"{hour:%a %d %b, %H:00}" for hour in hours],
    }


def _layout(health: Health, **more: Any) -> dict[str, Any]:
    span = [_moment(health.window.start), _moment(health.window.end)]
    axes = {"xaxis": {"type": "date", "range": span}, "yaxis": {"rangemode": "tozero"}}
    return {"height": 240, **axes, **more}


def _share_layout(health: Health) -> dict[str, Any]:
    return _layout(health, yaxis={"range": [-0.04, 1.04], "tickformat": ".0%"})


def _coloured(health: Health) -> Iterator[tuple[ModelWeek, str]]:
    for number, model in enumerate(health.models):
        yield model, COLOURS[number % len(COLOURS)]


def _means(model: ModelWeek) -> dict[datetime, float]:
    return {start: hour.latency_ms for start, hour in model.hours.items() if hour.latency_ms is not None}


def _scaled(by_model: Mapping[str, ByHour], factor: float) -> dict[str, ByHour]:
    return {name: {start: value * factor for start, value in hours.items()} for name, hours in by_model.items()}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
