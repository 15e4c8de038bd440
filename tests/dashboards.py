"""What the dashboards ask Prometheus, read from the committed JSON, with Grafana's variables filled in."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "grafana" / "dashboards"
EVERY = {
    "__rate_interval": "1m",
    "__interval": "15s",
    "__range": "1h",
    "datasource": "prometheus",
    "sink": ".*",
    "feature": "trip_distance",
    "measure": "mae",
}


class PanelExpression(NamedTuple):
    """One query of a panel."""

    uid: str
    title: str
    expression: str


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All panels but rows, those within folded rows too."""
    found = [inner for panel in dashboard["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [panel for panel in found if panel["type"] != "row"]


def quoted(value: str) -> str:
    """A value as Grafana puts it between the quotes of a regular expression in PromQL."""
    return re.sub(r"([$^*{}\[\]'+?.()|])", r"\\\\\1", value.replace("\\", "\\\\\\\\")).replace('"', '\\"')


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The text with $name and ${name} replaced; raises KeyError for a variable that nobody defines."""
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda found: values[found[1]], text)


def panel_expressions(
    model: str, version: str, *, feature: str = EVERY["feature"], measure: str = EVERY["measure"]
) -> list[PanelExpression]:
    """Every query of every panel as Grafana would send it for one model and version."""
    chosen = {"model": quoted(model), "version": quoted(version), "feature": feature, "measure": measure}
    values = {**EVERY, **chosen}
    return [
        PanelExpression(dashboard["uid"], filled_in(panel["title"], values), filled_in(target["expr"], values))
        for dashboard in dashboards()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def board_expressions(board: dict[str, Any]) -> list[str]:
    asked = [target["expr"] for panel in panels(board) for target in panel["targets"]]
    return asked + [annotation["expr"] for annotation in board["annotations"]["list"]]
