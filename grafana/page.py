"""One dashboard: variables, annotations, links, and panels in titled sections on Grafana's grid of 24 columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from grafana.colours import BAD, MARK
from grafana.panels import SOURCE
from grafana.shared import FIRING

TAG = "sextant"
ADDRESSES = ("live_page", "reports")
ALL = models.VariableOption(text="All", value="$__all")
Stack = Sequence["Sized"]


@dataclass(frozen=True)
class Sized:
    """A panel with its width and height in cells."""

    panel: Builder[models.Panel]
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """A titled row and the lines under it; in a line stand panels and stacks (tuples) of panels.

    With `repeat` it is shown once for each chosen value of that variable.
    """

    title: str
    lines: tuple[tuple[Sized | Stack, ...], ...]
    repeat: str | None = None


@dataclass(frozen=True)
class Page:
    """One dashboard: its fixed uid, what it answers, its own variables and its sections."""

    uid: str
    title: str
    description: str
    sections: tuple[Section, ...]
    variables: tuple[builders.QueryVariable, ...] = ()
    one_model: bool = False
    by_model: bool = True
    since: str = "now-1h"
    refresh: str = "10s"


class _Annotation(models.AnnotationQuery):
    """An annotation with its texts, which the SDK's own model leaves out."""

    texts: dict[str, str]

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self.texts}


@dataclass(frozen=True)
class _AnnotationBuilder(Builder[models.AnnotationQuery]):
    name: str
    expression: str
    colour: str
    title: str
    text: str

    def build(self) -> models.AnnotationQuery:
        found = _Annotation(
            name=self.name, datasource=SOURCE, expr=self.expression, icon_color=self.colour, enable=True
        )
        found.texts = {"titleFormat": self.title, "textFormat": self.text, "step": "15s"}
        return found


def assemble(page: Page) -> models.Dashboard:
    """The whole dashboard, ready to be written."""
    dashboard = builders.Dashboard(page.title).uid(page.uid).description(page.description).tags([TAG])
    dashboard = dashboard.time(page.since, "now").refresh(page.refresh).timezone("browser").editable()
    dashboard = dashboard.tooltip(models.DashboardCursorSync.CROSSHAIR)
    dashboard = dashboard.variables([*_common_variables(page), *page.variables, *_addresses()])
    dashboard = dashboard.annotations([_new_versions(), _alerts()]).links(_links())
    built = dashboard.build()
    built.panels = arrange(page.sections)
    for variable in built.templating.list_val or []:
        # An address in a shared URL may be out of date, or somebody else's.
        variable.skip_url_sync = variable.name in ADDRESSES
    return built


def choice(name: str, label: str, query: str, *, regex: str = "") -> builders.QueryVariable:
    """A variable whose values Prometheus knows; the first is chosen."""
    variable = builders.QueryVariable(name).label(label).datasource(SOURCE).regex(regex)
    variable = variable.query({"query": query, "refId": name}).sort(models.VariableSort.ALPHABETICAL_ASC)
    return variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)


def several(variable: builders.QueryVariable, *, at_first: models.VariableOption | None) -> builders.QueryVariable:
    """The same with any number of values, quoted for =~; without `at_first` the first one is chosen."""
    variable = variable.multi(True)
    # With an "All" to choose, Grafana would choose that.
    return variable if at_first is None else variable.include_all(True).all_value(".*").current(at_first)


def _common_variables(page: Page) -> list[Builder[models.VariableModel]]:
    source = builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    model = choice("model", "Model", "label_values(sextant_model_info, model)")
    version = choice("version", "Version", 'label_values(sextant_model_info{model=~"$model"}, version)')
    chosen = [several(model, at_first=None if page.one_model else ALL), several(version, at_first=ALL)]
    if not page.by_model:
        chosen = [variable.hide(models.VariableHide.HIDE_VARIABLE) for variable in chosen]
    return [source.current(models.VariableOption(text="Prometheus", value="prometheus")), *chosen]


def _addresses() -> list[builders.QueryVariable]:
    queries = {name: f"label_values(sextant_links_info, {name})" for name in ADDRESSES}
    hidden = models.VariableHide.HIDE_VARIABLE
    return [choice(name, name, query).hide(hidden) for name, query in queries.items()]


def _new_versions() -> _AnnotationBuilder:
    live = 'sextant_model_info{model=~"$model"}'
    before = f"max by (model, version) (max_over_time({live}[1h] offset 5m))"
    # For five minutes, so that a coarse step meets it; not seen in the hour before, so that a restart is not new.
    expression = f"max by (model, version) ({live}) unless {before}"
    return _AnnotationBuilder("New model versions", expression, MARK, "{{model}} {{version}}", "went live")


def _alerts() -> _AnnotationBuilder:
    # One mark for an alert, whatever its features; one label, since Grafana shows the name of a missing one.
    about = ("severity", "model", "sink", "job")
    labels = ", ".join(f'"{label}"' for label in about)
    expression = f'label_join(max by (alertname, {", ".join(about)}) ({FIRING}), "about", " ", {labels})'
    return _AnnotationBuilder("Firing alerts", expression, BAD, "{{alertname}}", "{{about}}")


def _links() -> list[Builder[models.DashboardLink]]:
    others = builders.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    pages = [
        _page("Live page", "${live_page}", "What monitoring knows now, in words, with Evidently's report"),
        _page("Reports", "${reports}", "The scheduled HTML reports"),
    ]
    return [others.keep_time(True).include_vars(True), *pages]


def _page(title: str, url: str, tooltip: str) -> builders.DashboardLink:
    link = builders.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).tooltip(tooltip)
    return link.icon("external link").target_blank(True)


@dataclass
class _Cursor:
    y: int = 0
    last_id: int = 0

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id


def arrange(sections: Iterable[Section]) -> list[models.Panel | models.RowPanel]:
    """All panels in their places, with ids in the order of reading."""
    cursor = _Cursor()
    return [panel for section in sections for panel in _section(section, cursor)]


def _section(section: Section, cursor: _Cursor) -> list[models.Panel | models.RowPanel]:
    place = models.GridPos(x=0, y=cursor.y, w=24, h=1)
    row = models.RowPanel(title=section.title, grid_pos=place, id_val=cursor.next_id(), repeat=section.repeat)
    cursor.y += 1
    inside = [panel for line in section.lines for panel in _line(line, cursor)]
    return [row, *inside]


def _line(line: Iterable[Sized | Stack], cursor: _Cursor) -> Iterator[models.Panel]:
    x = height = 0
    for item in line:
        stack = [item] if isinstance(item, Sized) else item
        y = cursor.y
        for sized in stack:
            yield _placed(sized, cursor.next_id(), x, y)
            y += sized.height
        x, height = x + max(sized.width for sized in stack), max(height, y - cursor.y)
    cursor.y += height


def _placed(sized: Sized, number: int, x: int, y: int) -> models.Panel:
    panel = sized.panel.build()
    panel.id_val = number
    panel.grid_pos = models.GridPos(x=x, y=y, w=sized.width, h=sized.height)
    return panel
