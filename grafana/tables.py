"""Tables: one row for each combination of labels, one column for each query, coloured cells and links."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus

from grafana import colours
from grafana.panels import SOURCE, Query, Text, now

MIN_WIDTH = 80
Properties = list[models.DynamicConfigValue]


@dataclass(frozen=True)
class Column:
    """A column that a query fills; coloured where it has limits or words."""

    name: str
    expression: str
    unit: str = "none"
    decimals: int | None = None
    limits: builders.ThresholdsConfig | None = None
    words: list[models.ValueMapping] = field(default_factory=list)


def rows(text: Text, labels: dict[str, str], columns: Sequence[Column], *, worst_by: str) -> table.Panel:
    """A row for each combination of labels (label → heading), with all columns; the largest `worst_by` first."""
    queries = [_query(column.expression, _ref(n)) for n, column in enumerate(columns)]
    names = {f"Value #{_ref(n)}": column.name for n, column in enumerate(columns)}
    panel = _described(text).targets(queries).transformations([_merge(), _organize({**labels, **names}, [])])
    for column in columns:
        panel = panel.override_by_name(column.name, _look(column))
    return panel.sort_by([common.TableSortByFieldState().display_name(worst_by).desc(True)])


def listing(text: Text, expression: str, labels: dict[str, str], sort_by: str) -> table.Panel:
    """The labels of what an expression finds, as columns (label → heading)."""
    panel = _described(text).targets([_query(expression, "A")])
    panel = panel.transformations([_organize(labels, ["Value"])])
    return panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(False)])


def linked(panel: table.Panel, column: str, links: dict[str, str]) -> table.Panel:
    """The same with links (title → URL) on the cells of a column."""
    # Pages outside of Grafana open beside it.
    found = [{"title": title, "url": url, "targetBlank": url[0] != "/"} for title, url in links.items()]
    return panel.override_by_name(column, [models.DynamicConfigValue(id_val="links", value=found)])


def painted(panel: table.Panel, column: str, words: list[models.ValueMapping]) -> table.Panel:
    """The same with the words of a column as colours."""
    return panel.override_by_name(column, [models.DynamicConfigValue("mappings", words), _coloured()])


def _described(text: Text) -> table.Panel:
    # "string": else a version "1.0" is a number, shown as 1 and linked as such.
    panel = table.Panel().title(text.title).description(text.description).unit("string")
    panel = panel.no_value(text.empty).datasource(SOURCE).cell_height(kinds.TableCellHeight.SM)
    # What the panel says without rows would else stand in every empty cell, and twelve columns not fit a screen.
    cell = [models.DynamicConfigValue("noValue", "-"), models.DynamicConfigValue("custom.minWidth", MIN_WIDTH)]
    return panel.override_by_regexp("/.*/", cell)


def _query(expression: str, ref: str) -> Builder[Dataquery]:
    return now(Query(expression), ref).format(prometheus.PromQueryFormat.TABLE)


def _ref(position: int) -> str:
    return chr(ord("A") + position)


def _merge() -> models.DataTransformerConfig:
    return models.DataTransformerConfig(id_val="merge", options={})


def _organize(names: dict[str, str], hidden: list[str]) -> models.DataTransformerConfig:
    options = {
        "excludeByName": dict.fromkeys(["Time", *hidden], True),
        "indexByName": {name: position for position, name in enumerate(names)},
        "renameByName": names,
    }
    return models.DataTransformerConfig(id_val="organize", options=options)


def _look(column: Column) -> Properties:
    found = [models.DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        found.append(models.DynamicConfigValue("decimals", column.decimals))
    if column.limits:
        found.append(models.DynamicConfigValue("thresholds", column.limits.build()))
    if not column.limits and not column.words:
        return found
    mappings = [*column.words, colours.nothing("transparent")]
    return [*found, models.DynamicConfigValue("mappings", mappings), _coloured()]


def _coloured() -> models.DynamicConfigValue:
    return models.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})
