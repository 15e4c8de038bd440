"""Grafana and Prometheus read only metrics that exist, and every panel explains itself."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
CONFIG = ROOT / "prometheus" / "prometheus.yml"
PROVISIONING = ROOT / "grafana" / "provisioning"

NAMES = """
    predictions_total prediction_duration_seconds feedback_total
    outbox_events outbox_bytes outbox_oldest_age_seconds
    events_accepted_total events_delivered_total events_dead_lettered_total events_skipped_total
    delivery_failures_total model_info
    drift_score drift_threshold drift_detected drifted_features drifted_features_ratio dataset_drift
    missing_values_ratio out_of_range_ratio unseen_category_ratio
    performance reference_performance concept_drift_ratio label_coverage_ratio label_delay_seconds
    window_rows window_oldest_timestamp_seconds last_evaluation_timestamp_seconds evaluation_duration_seconds
    evaluation_errors_total
"""
METRICS = frozenset("sextant_" + name for name in NAMES.split())
"""The metrics of the design."""

LABELS = frozenset(
    {"job", "instance", "le", "model", "version", "outcome", "sink", "feature", "method", "measure", "segment"}
)
VARIABLES = {
    "$__rate_interval": "1m",
    "$datasource": "prometheus",
    "$model": "taxi",
    "$version": "v1",
    "$feature": "trip_distance",
    "$measure": "mae",
}


def load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def panel_cases() -> list[Any]:
    return [
        pytest.param(panel, id=f"{path.stem}-{panel['title']}")
        for path in DASHBOARDS
        for panel in panels(load(path))
    ]


def filled_in(expression: str) -> str:
    for variable in sorted(VARIABLES, key=len, reverse=True):
        expression = expression.replace(variable, VARIABLES[variable])
    return expression


def metrics_in(expression: str) -> set[str]:
    """Metric names, without the suffixes that a histogram adds."""
    names = re.findall(r"\b[a-z_]+:[a-z_:]+\b|\bsextant_\w+|\bup\b", re.sub(r'"[^"]*"', '""', expression))
    return {re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", name) for name in names}


def labels_in(expression: str) -> set[str]:
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression)
    return set(matched) | {label.strip() for group in grouped for label in group.split(",")}


def test_there_is_a_live_drift_dashboard_with_a_fixed_uid() -> None:
    assert "sextant-live-drift" in {load(path)["uid"] for path in DASHBOARDS}


@pytest.mark.parametrize("panel", panel_cases())
def test_every_panel_has_a_title_a_description_and_a_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", panel_cases())
def test_every_panel_reads_only_metrics_and_labels_of_the_design(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        expression = filled_in(target["expr"])
        assert metrics_in(expression), f"no metric in {expression}"
        assert metrics_in(expression) <= METRICS | {"up"}
        assert labels_in(expression) <= LABELS
        assert "$" not in expression, f"a variable that nobody defines in {expression}"


@pytest.mark.parametrize("panel", panel_cases())
def test_every_panel_asks_the_chosen_data_source(panel: dict[str, Any]) -> None:
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_the_variables_of_a_dashboard_are_defined_and_read_known_metrics(path: Path) -> None:
    variables = {variable["name"]: variable for variable in load(path)["templating"]["list"]}
    assert {"datasource", "model", "version"} <= set(variables)
    for variable in variables.values():
        if variable["type"] == "query":
            assert metrics_in(filled_in(variable["query"]["query"])) <= METRICS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panel_ids_are_unique_and_no_two_panels_overlap(path: Path) -> None:
    dashboard = load(path)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (grid["x"] + dx, grid["y"] + dy)
        for grid in (panel["gridPos"] for panel in dashboard["panels"])
        for dx in range(grid["w"])
        for dy in range(grid["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_provisioned_data_source_has_the_uid_that_dashboards_choose_first() -> None:
    source = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    assert (source["uid"], source["type"]) == ("prometheus", "prometheus")
    for path in DASHBOARDS:
        (chosen,) = [v for v in load(path)["templating"]["list"] if v["name"] == "datasource"]
        assert chosen["current"]["value"] == source["uid"]


def test_rules_read_only_metrics_of_the_design() -> None:
    for path in sorted((ROOT / "prometheus" / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                assert metrics_in(rule["expr"]) <= METRICS | {"up"}


def test_prometheus_scrapes_each_service_that_has_metrics() -> None:
    groups = json.loads((ROOT / "prometheus" / "targets" / "sextant.json").read_text())
    targets = {group["labels"]["job"]: group["targets"] for group in groups}
    assert targets["prediction"] == ["prediction:9696"]
    assert targets["relay"] == ["relay:9697"]
    assert targets["monitoring"] == ["monitoring:8085"]


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")


@needs_promtool
def test_promtool_accepts_the_configuration_and_its_rules() -> None:
    checked = subprocess.run(
        ["promtool", "check", "config", str(CONFIG)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
def test_promtool_parses_the_expression_of_every_panel(tmp_path: Path) -> None:
    expressions = [filled_in(target["expr"]) for case in panel_cases() for target in case.values[0]["targets"]]
    rules = [{"record": f"panel:expression:{n}", "expr": text} for n, text in enumerate(expressions)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(expressions)} rules found" in checked.stdout
