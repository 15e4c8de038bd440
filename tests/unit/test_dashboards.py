"""The dashboards are current, explain themselves, and read only metrics that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import colours
from grafana.__main__ import FOLDER, generated, main, outdated, write
from monitoring_service.metrics import GAUGES
from tests import dashboards

ROOT = dashboards.ROOT
UIDS = {"sextant-live-drift", "sextant-performance", "sextant-health", "sextant-delivery", "sextant-fleet"}
METRIC_FILES = (
    "monitoring_service/metrics.py",
    "monitoring_service/service.py",
    "prediction_service/metrics.py",
    "prediction_service/relay_metrics.py",
)
FOREIGN = re.compile(r"(node|mongodb|process)_\w+|up|ALERTS")
LABELS = """
    alertname alertstate conn_type device feature fstype instance job kind le legacy_op_type measure method mode
    model mountpoint outcome segment severity sink version
"""
FUNCTIONS = """
    and avg avg_over_time bool by count deriv group_left histogram_quantile ignoring increase label_join max
    max_over_time min offset on or rate sum time topk unless vector without
"""


def panel_cases() -> list[Any]:
    return [
        pytest.param(board, panel, id=f"{board['uid']}-{panel['id']}")
        for board in dashboards.dashboards()
        for panel in dashboards.panels(board)
    ]


def board_cases() -> list[Any]:
    return [pytest.param(board, id=board["uid"]) for board in dashboards.dashboards()]


def base_name(metric: str) -> str:  # as the code gives it: without what its kind adds
    return re.sub(r"_(total|bucket|sum|count|info)$", "", metric)


def known_metrics() -> set[str]:
    code = "".join((ROOT / file).read_text() for file in METRIC_FILES)
    in_code = re.findall(r'"(sextant_\w+)"', code)
    named = [f"sextant_{name}" for name in GAUGES]
    return {base_name(name) for name in (*in_code, *named)}


def recorded_names() -> set[str]:
    files = [yaml.safe_load(path.read_text()) for path in (ROOT / "prometheus" / "rules").glob("*.yml")]
    return {
        rule["record"] for file in files for group in file["groups"] for rule in group["rules"] if "record" in rule
    }


def without_strings(expression: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)


def metrics_in(expression: str) -> set[str]:
    bare = re.sub(r"\b(by|on|without|ignoring|group_left)\s*\([^)]*\)", " ", without_strings(expression))
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|offset \w+", " ", bare)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*", bare)) - set(FUNCTIONS.split())


def labels_in(expression: str) -> set[str]:
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = re.findall(r"\b(?:by|on|without|ignoring|group_left)\s*\(([^)]*)\)", expression)
    return set(matched) | {label.strip() for group in grouped for label in group.split(",") if label.strip()}


def test_the_committed_dashboards_are_what_the_code_generates() -> None:
    assert outdated(FOLDER) == []


def test_generating_twice_gives_the_same_text() -> None:
    assert generated() == generated()


def test_a_check_names_the_files_that_are_not_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], folder=tmp_path) == 0
    assert main(["--check"], folder=tmp_path) == 0
    (tmp_path / "fleet.json").write_text("{}")
    (tmp_path / "gone.json").write_text("{}")
    assert main(["--check"], folder=tmp_path) == 1
    said = capsys.readouterr().err
    assert "fleet.json" in said
    assert "gone.json" in said
    assert "health.json" not in said


def test_writing_removes_the_file_of_a_dashboard_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.json").write_text("{}")
    write(tmp_path)
    assert outdated(tmp_path) == []


def test_the_dashboards_have_their_fixed_uids() -> None:
    assert {board["uid"] for board in dashboards.dashboards()} == UIDS
    assert all(path.stat().st_size < 1_000_000 for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize(("board", "panel"), panel_cases())
def test_every_panel_explains_itself(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"]


@pytest.mark.parametrize(("board", "panel"), panel_cases())
def test_every_panel_asks_the_chosen_data_source(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["targets"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    references = [target["refId"] for target in panel["targets"]]
    assert len(references) == len(set(references))


@pytest.mark.parametrize("board", board_cases())
def test_expressions_name_only_metrics_and_labels_that_exist(board: dict[str, Any]) -> None:
    known, recorded = known_metrics(), recorded_names()
    for expression in dashboards.board_expressions(board):
        names = metrics_in(expression)
        assert names, expression
        strangers = {name for name in names if not FOREIGN.fullmatch(name) and base_name(name) not in known}
        assert strangers <= recorded, expression
        assert labels_in(expression) <= set(LABELS.split()), expression


@pytest.mark.parametrize("board", board_cases())
def test_a_board_has_the_common_variables_and_uses_no_other_than_its_own(board: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert {"datasource", "model", "version", "live_page", "reports"} <= set(variables)
    built_in = {"__rate_interval", "__url_time_range", "__data", "__all"}
    used = set(re.findall(r"\$\{?(\w+)", str(board)))
    assert used <= set(variables) | built_in


@pytest.mark.parametrize("board", board_cases())
def test_a_choice_of_several_values_is_compared_as_a_regular_expression(board: dict[str, Any]) -> None:
    several = [variable["name"] for variable in board["templating"]["list"] if variable.get("multi")]
    assert {"model", "version"} <= set(several)
    for expression in dashboards.board_expressions(board):
        for name in several:
            assert not re.search(rf'[^~]"\${name}\b', expression), expression


@pytest.mark.parametrize("board", board_cases())
def test_the_variables_of_a_board_read_known_metrics(board: dict[str, Any]) -> None:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            (metric,) = re.findall(r"label_values\((\w+)", variable["query"]["query"])
            assert base_name(metric) in known_metrics()


@pytest.mark.parametrize("board", board_cases())
def test_panel_ids_are_unique_and_no_two_panels_overlap(board: dict[str, Any]) -> None:
    everything = [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    ids = [panel["id"] for panel in everything]
    assert len(ids) == len(set(ids))
    cells = [
        (grid["x"] + dx, grid["y"] + dy)
        for grid in (panel["gridPos"] for panel in everything)
        for dx in range(grid["w"])
        for dy in range(grid["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("board", board_cases())
def test_boards_link_to_each_other_and_to_the_pages(board: dict[str, Any]) -> None:
    links = {link["title"]: link for link in board["links"]}
    assert links["Dashboards"]["keepTime"]
    assert links["Dashboards"]["includeVars"]
    assert links["Dashboards"]["tags"] == board["tags"]
    assert links["Live page"]["url"] == "${live_page}"
    assert links["Reports"]["url"] == "${reports}"


@pytest.mark.parametrize("board", board_cases())
def test_new_versions_and_firing_alerts_are_marked(board: dict[str, Any]) -> None:
    marks = {annotation["name"]: annotation for annotation in board["annotations"]["list"]}
    assert metrics_in(marks["New model versions"]["expr"]) == {"sextant_model_info"}
    assert metrics_in(marks["Firing alerts"]["expr"]) == {"ALERTS"}
    for mark in marks.values():  # of a label that is missing Grafana shows the name
        shown = set(re.findall(r"\{\{(\w+)", mark["titleFormat"] + mark["textFormat"]))
        assert shown <= labels_in(mark["expr"]) | set(re.findall(r', "(\w+)", " "', mark["expr"]))


def test_a_board_that_repeats_its_rows_opens_on_one_model_and_not_on_all() -> None:
    for board in dashboards.dashboards():
        (model,) = [variable for variable in board["templating"]["list"] if variable["name"] == "model"]
        # Grafana chooses All where it can.
        assert model["includeAll"] is not any(panel.get("repeat") for panel in board["panels"])


@pytest.mark.parametrize(("board", "panel"), panel_cases())
def test_overrides_and_colours_hold_as_grafana_reads_them(board: dict[str, Any], panel: dict[str, Any]) -> None:
    defaults, overrides = panel["fieldConfig"]["defaults"], panel["fieldConfig"]["overrides"]
    patterns = [one["matcher"]["options"] for one in overrides if one["matcher"]["id"] == "byRegexp"]
    assert all(re.fullmatch("/.+/", pattern) for pattern in patterns)  # without slashes: the whole name
    if panel["options"].get("colorMode") == "background_solid":
        special = "special" in {mapping["type"] for mapping in defaults["mappings"]}
        assert (
            special or defaults["thresholds"]["steps"][0]["color"] == colours.GREY
        )  # no data has the lowest colour


def test_links_of_the_fleet_lead_to_boards_that_exist() -> None:
    (fleet,) = [board for board in dashboards.dashboards() if board["uid"] == "sextant-fleet"]
    linked = set(re.findall(r"/d/([\w-]+)", str(fleet["panels"])))
    assert linked
    assert linked <= UIDS


def test_variables_are_filled_in_as_grafana_does() -> None:
    expressions = dashboards.panel_expressions("ta.xi", 'v"1')
    assert {uid for uid, _, _ in expressions} == UIDS
    assert not [expression for _, _, expression in expressions if "$" in expression]
    assert any(r'model=~"ta\\.xi",version=~"v\"1"' in expression for _, _, expression in expressions)
