"""promtool reads the rules, runs their tests, and parses every query of the runbooks and the dashboards."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import yaml

from tests import dashboards

FOLDER = dashboards.ROOT / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
RUNBOOKS = sorted((dashboards.ROOT / "docs" / "runbooks").glob("*.md"))
COMMANDS = {"curl", "tail", "grep", "ls", "df", "sqlite3", "printf", "python"}
LINKS = {"grafana_url": "http://grafana", "live_page_url": "http://live", "reports_url": "http://reports"}

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")


def promtool(*arguments: str | Path) -> str:
    """What promtool says; the test fails if it is not content."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "secrets" / "metrics-token").write_text("made at the first start")
    assert "WARNING" not in promtool("check", "config", tmp_path / "prometheus.yml")


def test_promtool_finds_nothing_to_say_about_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_runs_the_rule_tests(path: Path) -> None:
    promtool("test", "rules", path)


def nasty_test(model: str, features: list[str]) -> dict[str, Any]:
    """A rule test in which these features have drifted, the first the furthest."""
    of = f'model={json.dumps(model, ensure_ascii=False)},version="v1"'
    series = [{"series": f"sextant_dataset_drift{{{of}}}", "values": "1x12"}]
    for rank, feature in enumerate(features):
        column = f'{{{of},feature={json.dumps(feature, ensure_ascii=False)},method="psi"}}'
        for name, value in (("score", 9 - rank), ("threshold", 0.5), ("threshold_ratio", 18 - 2 * rank)):
            series.append({"series": f"sextant_drift_{name}{column}", "values": f"{value}x12"})
    named = [f"{feature[:80]} {9 - rank} (threshold 0.5, psi)" for rank, feature in enumerate(features)]
    worst = "; ".join(named[:3])
    annotations = {
        "summary": "The data that a model sees have drifted",
        "description": f"{model} version v1 sees data that differ from its reference. Most drifted: {worst}.",
        "runbook_url": "http://live/docs/runbooks/DatasetDrift.md",
        "dashboard_url": f"http://grafana/d/sextant-live-drift?var-model={quote_plus(model)}&var-version=v1",
    }
    labels = {"severity": "warning", "model": model, "version": "v1"}
    alert = {"exp_labels": labels, "exp_annotations": annotations}
    case = {"eval_time": "2m", "alertname": "DatasetDrift", "exp_alerts": [alert]}
    return {"interval": "15s", "external_labels": LINKS, "input_series": series, "alert_rule_test": [case]}


def test_a_description_survives_quotes_unicode_and_a_thousand_characters(tmp_path: Path) -> None:
    test = nasty_test('ta"x\\i {{ü}}', ['"; drop {x="y"} or up', "距离\t🚕", "x" * 1_000, "fourth"])
    file = tmp_path / "nasty.yml"
    read = [str(FOLDER / "rules" / f"{name}.yml") for name in ("verdicts", "drift")]
    order = ["sextant-verdicts", "sextant-drift"]
    whole = {"rule_files": read, "group_eval_order": order, "evaluation_interval": "15s", "tests": [test]}
    file.write_text(yaml.safe_dump(whole, allow_unicode=True))
    promtool("test", "rules", file)


def code_lines(page: Path) -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_promtool_parses_every_query_of_the_runbooks(tmp_path: Path) -> None:
    lines = [line for page in RUNBOOKS if page.stem != "README" for line in code_lines(page)]
    queries = [line for line in lines if re.split(r"[ ;]", line)[0] not in COMMANDS]
    records = [{"record": f"runbook:query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": records}]}, allow_unicode=True))
    assert f"{len(records)} rules found" in promtool("check", "rules", "--lint=none", file)


def test_promtool_parses_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    values = {**dashboards.EVERY, "model": "taxi", "version": "v1"}
    asked = [text for board in dashboards.dashboards() for text in dashboards.board_expressions(board)]
    filled = [dashboards.filled_in(expression, values) for expression in asked]
    rules = [{"record": f"panel:expression:{n}", "expr": text} for n, text in enumerate(filled)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(filled)} rules found" in promtool("check", "rules", file)
