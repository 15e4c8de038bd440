"""Rules and runbooks read metrics that exist; every alert is shown to fire and not to, and explains itself."""

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from sextant.infrastructure.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.yml"))

SEVERITIES = ("page", "warning", "info", "none")
LEVELS = {"model", "version", "sink", "job", "day", "verdict"}
FUNCTION = r"(avg|stddev|zscore|p95|rate|ratio)(_rate|_)?(\d+[mhd])"
OPERATION = rf"(difference|max|thresholds|since|certain|{FUNCTION}|rate\d+[mhd])"
ELSEWHERE = re.compile(r"(node|alertmanager|prometheus)_\w+|up|ALERTS")
NAME = re.compile(
    r"[a-z_]+:[a-z0-9_]+:[a-z0-9_]+"
    r"|\b(?:sextant|process|node|alertmanager|prometheus)_\w+"
    r"|\b(?:up|ALERTS)\b(?=[ {])"
)
RUNBOOKS = sorted(set((ROOT / "docs" / "runbooks").glob("*.md")) - {ROOT / "docs" / "runbooks" / "README.md"})
COMMANDS = {"curl", "tail", "grep", "ls", "df", "sqlite3", "printf", "python"}
APPS = {"9696": "prediction_service", "8085": "monitoring_service"}
ROUTES = {
    "9697": {"/metrics"},
    "9091": {"/graph", "/targets", "/rules", "/status", "/-/ready"},
    "9093": {"/-/ready", "/"},
}
LINKS = {"grafana_url": "http://grafana", "live_page_url": "http://live", "reports_url": "http://reports"}


@cache
def groups() -> list[dict[str, Any]]:
    return [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules of a kind: alert or record."""
    return [rule for group in groups() for rule in group["rules"] if kind in rule]


@cache
def rule_tests() -> list[dict[str, Any]]:
    return [group for path in TESTS for group in yaml.safe_load(path.read_text())["tests"]]


def metrics_in(text: str) -> set[str]:
    """Metric names, without what a histogram adds."""
    return {re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", name) for name in NAME.findall(text)}


@cache
def known_metrics() -> set[str]:
    """Of docs/metrics.md, which is compared with what the services answer, and of the recording rules."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = re.findall(r"^\| `((?:sextant|process)_\w+)` \|", page, re.MULTILINE)
    return set(documented) | {rule["record"] for rule in rules("record")}


def unknown(names: set[str]) -> set[str]:
    return {name for name in names - known_metrics() if not ELSEWHERE.fullmatch(name)}


def alert_cases() -> list[Any]:
    return [pytest.param(rule, id=f"{rule['alert']}-{rule['labels']['severity']}") for rule in rules("alert")]


def alert_names() -> set[str]:
    return {rule["alert"] for rule in rules("alert")}


def test_every_alert_is_tested_to_fire_and_not_to_fire() -> None:
    cases = [case for group in rule_tests() for case in group.get("alert_rule_test", [])]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alert_names()
    always = {"Watchdog"}
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alert_names() - always


def test_every_rule_test_is_named_by_a_sentence() -> None:
    names = [group["name"] for group in rule_tests()]
    assert len(names) == len(set(names))
    assert all(len(name.split()) >= 5 for name in names)


def test_prometheus_finds_each_service_and_its_alertmanager() -> None:
    targets = [group for path in (FOLDER / "targets").glob("*.json") for group in json.loads(path.read_text())]
    by_job = {group["labels"]["job"]: group["targets"] for group in targets}
    assert by_job["prediction"] == ["prediction:9696"]
    assert by_job["relay"] == ["relay:9697"]
    assert by_job["monitoring"] == ["monitoring:8085"]
    assert by_job["alertmanager"] == ["alertmanager:9093"]


def test_links_come_from_the_environment_and_are_no_labels_of_alerts() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert config["global"]["external_labels"] == {name: f"${{{name.upper()}}}" for name in LINKS}
    (dropped,) = config["alerting"]["alert_relabel_configs"]
    assert dropped["action"] == "labeldrop"
    assert all(re.fullmatch(dropped["regex"], name) for name in LINKS)
    assert not any(re.fullmatch(dropped["regex"], name) for name in ("model", "version", "severity", "job"))


@pytest.mark.parametrize("rule", alert_cases())
def test_an_alert_says_what_is_wrong_how_bad_it_is_and_where_to_look(rule: dict[str, Any]) -> None:
    name, said = rule["alert"], rule["annotations"]
    assert set(said) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in said["summary"]
    assert rule["labels"]["severity"] in SEVERITIES
    assert said["runbook_url"] == f"{{{{ $externalLabels.live_page_url }}}}/docs/runbooks/{name}.md"
    board = re.match(r"{{ \$externalLabels\.grafana_url }}/d/([a-z-]+)(\?|$)", said["dashboard_url"])
    assert board
    boards = (ROOT / "grafana" / "dashboards").glob("*.json")
    assert board[1] in {json.loads(path.read_text())["uid"] for path in boards}


@pytest.mark.parametrize("rule", [*alert_cases(), *(pytest.param(r, id=r["record"]) for r in rules("record"))])
def test_a_rule_and_its_annotations_read_only_metrics_that_exist(rule: dict[str, Any]) -> None:
    text = " ".join([rule["expr"], *rule.get("annotations", {}).values()])
    assert unknown(metrics_in(text)) == set()


def test_drift_never_pages() -> None:
    drift = [rule for rule in rules("alert") if "Drift" in rule["alert"] or '_drift"' in rule["expr"]]
    assert len(drift) >= 5
    paging = {rule["alert"] for rule in drift if rule["labels"]["severity"] == "page"}
    assert paging <= {"PerformanceDegraded"}, (
        "it reads the realised error, performance_degradation by its old name"
    )


def test_recording_rules_are_named_level_metric_operations() -> None:
    for rule in rules("record"):
        level, metric, operation = rule["record"].split(":")
        assert set(level.split("_")) <= LEVELS
        assert metric.startswith(("sextant_", "process_"))
        assert re.fullmatch(OPERATION, operation), rule["record"]


def routes(port: str) -> set[str]:
    """Patterns of what the service on a port answers."""
    if port not in APPS:
        return ROUTES[port]
    source = (ROOT / APPS[port] / "app.py").read_text()
    return {re.sub("<[^>]+>", "[^/]+", route) for route in re.findall(r'@app\.(?:get|post)\("([^"]+)"\)', source)}


def test_every_alert_has_a_runbook_and_every_runbook_its_alert() -> None:
    assert {page.stem for page in RUNBOOKS} == alert_names()


def test_the_index_lists_each_alert_under_its_worst_severity() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text()
    listed = {severity: re.search(rf"^\| {severity} \|.*$", index, re.MULTILINE) for severity in SEVERITIES}
    unseen = alert_names()
    for severity, row in listed.items():
        here = {rule["alert"] for rule in rules("alert") if rule["labels"]["severity"] == severity} & unseen
        assert row
        assert set(re.findall(r"\[(\w+)\]", row[0])) == here
        unseen -= here


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_says_what_to_look_at_and_all_of_it_exists(page: Path) -> None:
    text = page.read_text()
    sections = re.findall(r"^## ([^(\n]*\w)", text, re.MULTILINE)
    assert text.startswith(f"# {page.stem}\n")
    assert sections == ["What it means", "Look first", "Causes and what to do", "When it resolves"]
    assert unknown(metrics_in(text)) == set()
    for port, path in re.findall(r"http://127\.0\.0\.1:(\d+)(/[^\s`#)]*)", text):
        assert any(re.fullmatch(route, path) for route in routes(port)), f"nothing answers {path} on {port}"
    assert all(find_spec(module) for module in re.findall(r"python -m ([\w.]+)", text))
    settings = {name.upper() for name in Settings.model_fields} | {"PROMETHEUS_RETENTION"}
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text)) <= settings
