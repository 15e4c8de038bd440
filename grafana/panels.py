"""The kinds of panels that dashboards are made of, each with a title, a unit and words that say how to read it."""

from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    stat,
    statetimeline,
    statushistory,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus as prometheus_builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models import prometheus

from grafana import colours

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
NOTHING_YET = "no data yet"
HISTORY_COLUMNS = 80


@dataclass(frozen=True)
class Text:
    """What a panel says about itself; `empty` stands where there is no data."""

    title: str
    description: str
    unit: str = "none"
    empty: str = NOTHING_YET


@dataclass(frozen=True)
class Query:
    """One expression and the name of its series."""

    expression: str
    legend: str = ""


Panel = TypeVar(
    "Panel", timeseries.Panel, stat.Panel, statetimeline.Panel, statushistory.Panel, bargauge.Panel, heatmap.Panel
)


def target(query: Query, ref: str) -> prometheus_builders.Dataquery:
    """A query over the dashboard's time range."""
    found = prometheus_builders.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(ref)
    return found.datasource(SOURCE).range()


def now(query: Query, ref: str) -> prometheus_builders.Dataquery:
    """A query for the present alone."""
    return target(query, ref).instant()


def lines(text: Text, *queries: Query, threshold: float | None = None, many: bool = False) -> timeseries.Panel:
    """Lines over time; of several queries, what is called threshold, reference or estimated is drawn as such."""
    panel = _described(timeseries.Panel(), text).targets(_ranges(queries))
    panel = panel.line_width(2).fill_opacity(0).span_nulls(60_000).show_points(kinds.VisibilityMode.AUTO)
    panel = panel.color_scheme(builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel = panel.legend(_table_legend() if many else _legend()).tooltip(_tooltip())
    # Only where every name is ours: a feature may be called "reference".
    panel = _with_roles(panel) if len(queries) > 1 else panel
    return panel if threshold is None else _with_line(panel, threshold)


def deviation(text: Text, query: Query, limit: float) -> timeseries.Panel:
    """Lines around 0, with a limit on either side."""
    panel = _with_area(lines(text, query), colours.either_side(limit))
    return panel.axis_soft_min(-1.5 * limit).axis_soft_max(1.5 * limit)


def number(text: Text, expression: str, *, limits: builders.ThresholdsConfig | None = None) -> stat.Panel:
    """One number now; coloured where it has limits."""
    colour = kinds.BigValueColorMode.NONE if limits is None else kinds.BigValueColorMode.BACKGROUND_SOLID
    panel = _described(stat.Panel(), text).targets([now(Query(expression), "A")])
    panel = panel.graph_mode(kinds.BigValueGraphMode.NONE).color_mode(colour)
    panel = panel if limits is None else panel.thresholds(limits).mappings([colours.nothing(text=text.empty)])
    return panel.reduce_options(_last())


def numbers(text: Text, *queries: Query, limits: builders.ThresholdsConfig | None = None) -> stat.Panel:
    """Several numbers now, each with its name."""
    panel = number(text, "", limits=limits).targets([now(query, _ref(n)) for n, query in enumerate(queries)])
    return panel.text_mode(kinds.BigValueTextMode.VALUE_AND_NAME)


def state(text: Text, expression: str, mappings: list[models.ValueMapping]) -> stat.Panel:
    """A verdict now, in words."""
    return number(text, expression, limits=colours.steps((None, colours.GREY))).mappings(mappings)


def bars(text: Text, query: Query, limits: builders.ThresholdsConfig) -> bargauge.Panel:
    """A few values now, side by side."""
    panel = _described(bargauge.Panel(), text).targets([now(query, "A")]).thresholds(limits)
    panel = panel.display_mode(kinds.BarGaugeDisplayMode.BASIC).orientation(kinds.VizOrientation.HORIZONTAL)
    return panel.reduce_options(_last()).mappings([colours.nothing(text=text.empty)]).min(0).decimals(0)


def timeline(text: Text, *queries: Query, mappings: list[models.ValueMapping]) -> statetimeline.Panel:
    """States over time, one row each."""
    panel = _described(statetimeline.Panel(), text).targets(_ranges(queries)).mappings(mappings)
    panel = panel.show_value(kinds.VisibilityMode.AUTO).row_height(0.8).line_width(0).merge_values(True)
    panel = panel.thresholds(colours.steps((None, colours.GREY)))
    return panel.color_scheme(_by_threshold()).legend(_legend()).tooltip(_tooltip())


def history(text: Text, query: Query, limits: builders.ThresholdsConfig) -> statushistory.Panel:
    """A heat map of many rows over time, coloured by limits that mean something."""
    panel = _described(statushistory.Panel(), text).targets(_ranges((query,))).thresholds(limits)
    panel = panel.show_value(kinds.VisibilityMode.NEVER).row_height(0.9).max_data_points(HISTORY_COLUMNS)
    return panel.color_scheme(_by_threshold()).legend(_legend()).tooltip(_tooltip())


def buckets(text: Text, expression: str) -> heatmap.Panel:
    """A histogram over time; the text's unit is that of its buckets."""
    query = target(Query(expression, "{{le}}"), "A").format(prometheus.PromQueryFormat.HEATMAP)
    panel = _described(heatmap.Panel(), text).targets([query]).calculate(False)
    scheme = heatmap.HeatmapColorOptions().mode(heatmap_models.HeatmapColorMode.SCHEME).scheme("Viridis").steps(64)
    panel = panel.color(scheme.exponent(0.5)).y_axis(heatmap.YAxisConfig().unit(text.unit))
    panel = panel.cell_values(heatmap.CellValues().unit("short").decimals(0)).max_data_points(HISTORY_COLUMNS)
    return panel.show_tooltip()


def _described(panel: Panel, text: Text) -> Panel:
    panel = panel.title(text.title).description(text.description).unit(text.unit)
    return panel.no_value(text.empty).datasource(SOURCE)


def _ranges(queries: tuple[Query, ...]) -> list[Builder[Dataquery]]:
    return [target(query, _ref(n)) for n, query in enumerate(queries)]


def _ref(position: int) -> str:
    return chr(ord("A") + position)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _by_threshold() -> builders.FieldColor:
    return builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)


def _legend() -> common.VizLegendOptions:
    return common.VizLegendOptions().show_legend(True).placement(kinds.LegendPlacement.BOTTOM)


def _table_legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).placement(kinds.LegendPlacement.RIGHT)
    legend = legend.display_mode(kinds.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
    return legend.sort_by("Last *").sort_desc(True)


def _drawn(fill: str, colour: str | None) -> list[models.DynamicConfigValue]:
    dash = {"fill": fill, "dash": [10, 6]} if fill == "dash" else {"fill": fill, "dash": [0, 6]}
    style = models.DynamicConfigValue(id_val="custom.lineStyle", value=dash)
    if colour is None:
        return [style]
    fixed = {"mode": "fixed", "fixedColor": colour}
    return [style, models.DynamicConfigValue(id_val="color", value=fixed)]


def _with_roles(panel: timeseries.Panel) -> timeseries.Panel:
    # Without the slashes Grafana compares the whole name.
    panel = panel.override_by_regexp("/^(threshold|limit)/", _drawn("dash", colours.BAD))
    panel = panel.override_by_regexp("/^reference/", _drawn("dash", colours.GREY))
    return panel.override_by_regexp("/^estimated/", _drawn("dot", None))


def _with_line(panel: timeseries.Panel, threshold: float) -> timeseries.Panel:
    limits = colours.steps((None, "transparent"), (threshold, colours.BAD))
    return _with_area(panel, limits).axis_soft_min(0).axis_soft_max(threshold * 1.2)


def _with_area(panel: timeseries.Panel, limits: builders.ThresholdsConfig) -> timeseries.Panel:
    style = common.GraphThresholdsStyleConfig().mode(kinds.GraphTresholdsStyleMode.DASHED_AND_AREA)
    return panel.thresholds(limits).thresholds_style(style)
