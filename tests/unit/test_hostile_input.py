"""Whatever a client, a label or a manifest holds, it stays text on every page that we write."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template
from prometheus_client.parser import text_string_to_metric_families

from batch_flows.compare_models.choice import Choice
from batch_flows.compare_models.page import render as comparison_page
from batch_flows.health_summary.facts import Health
from batch_flows.health_summary.history import Alarm, Count
from batch_flows.health_summary.page import render as health_page
from batch_flows.reports.index import INDEX
from monitoring_service.app import TEMPLATES
from monitoring_service.pages.live import (
    Badge,
    FeatureRow,
    MeasureRow,
    ModelCard,
    PerformanceSection,
    SegmentRow,
)
from prediction_service.metrics import Metrics
from sextant.evaluation.evaluate import Evaluation, SegmentRows
from sextant.evaluation.report_head import with_head
from sextant.evaluation.verdict import Effect, Verdict
from sextant.infrastructure.logs import _to_json
from sextant.pages.charts import line_chart, sparkline
from tests.compared_versions import manifest, regression
from tests.dashboards import dashboards, panels
from tests.drift_reports import put_report
from tests.health import START, WINDOW, history, report, week
from tests.hostile import HOSTILE, assert_same_structure

hostile = pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
Page = Callable[[str, Path], str]


def live(value: str, _: Path) -> str:
    moments = [(START + timedelta(hours=hour), 1.0) for hour in range(3)]
    chart = line_chart({value: moments}, level=1.0, over=(moments[0][0], moments[-1][0]))
    card = ModelCard(
        name=value,
        version=value,
        badges=[Badge(value, "bad")],
        facts=[(value, value)],
        has_rows=True,
        notes=[(value, value)],
        features=[FeatureRow(value, value, value, value, value, True, value, True, sparkline([0.5, 1.5]))],
        verdicts=[(value, Badge(value, "bad"))],
        performance=PerformanceSection(value, chart, [MeasureRow(value, value, value)]),
        segments=[SegmentRow(value, value, value, value, value, [(value, Badge(value, "good"))])],
        errors=[(value, value)],
    )
    with Flask(__name__, template_folder=str(TEMPLATES)).app_context():
        now, reports = datetime.now(UTC), "http://127.0.0.1:8080"
        return render_template("live.html", cards=[card], problems=[value], now=now, reports_url=reports)


def index(value: str, folder: Path) -> str:
    cut = value[:200]
    verdicts = [{"name": "drift", "column": value, "detected": True, "value": 1.0, "threshold": 0.5}]
    window = {"start": START, "end": START + timedelta(hours=1)}
    about = {"flow": cut, "model": cut, "model_version": cut, "window": window, "created_at": START}
    metrics = {"dataset_drift": True, "verdicts": verdicts, "status": {"text": value, "kind": "bad"}}
    (folder / f"{cut.replace('/', '-')[:50]}.json").write_text("{}")
    put_report(folder, about | {"metrics": metrics, "html": "r.html"})
    return (folder / INDEX).read_text()


def health(value: str, _: Path) -> str:
    value = value[:200]  # a longer name is that of no report
    end = START + timedelta(hours=1)
    seen = history(
        alarms=[Alarm(value, value, value, START, end)], counts=[Count(value, value, 3)],
        uptime={value: 0.9}, uptime_by_hour={value: {START: 0.9}}, p95={value: {START: 0.1}},
        drift={value: 0.5}, drift_by_hour={value: {START: 0.5}}, backlog={value: 5.0},
    )  # fmt: skip
    models = [week(report(12, True, value, model=value, html="r.html"), model=value)]
    return health_page(Health(WINDOW, models, seen, notes=[value]), START, "assets/plotly.js")


COMPARISON = regression(0.5)


def comparison(value: str, _: Path) -> str:
    odd = {"name": value, "version": value, "target": value}
    choice = Choice(manifest().model_copy(update=odd), manifest().model_copy(update=odd | {"name": f"{value}2"}))
    rows = replace(COMPARISON.rows, why_unpaired=value)
    return comparison_page(replace(COMPARISON, choice=choice, rows=rows), START)


def drift_head(value: str, _: Path) -> str:
    found = Evaluation(
        rows=1,
        labelled_rows=1,
        calibrated=True,
        verdicts=[
            Verdict("drift", 1.0, 0.5, 2.0, True, column=value, method=value, effect=Effect(0.1, 0.2, 0.1, value)),
            Verdict("fairness_gap", segment=value, reason=value),
        ],
        measures={"": {}, value: {}},
        reference_measures={"": {}, value: {}},
        quality={},
        segments={value: SegmentRows(rows=1, labelled_rows=1)},
        errors={value: value},
    )
    return with_head(
        "<html><head></head><body></body></html>", title=value, facts={value: value}, evaluation=found
    )


PAGES = (live, index, health, comparison, drift_head)


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> dict[Page, str]:
    return {page: page("harmless", tmp_path_factory.mktemp(page.__name__)) for page in PAGES}


@hostile
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_what_is_hostile_stays_text_on_every_page(
    page: Page, value: str, tmp_path: Path, harmless: dict[Page, str]
) -> None:
    assert_same_structure(page(value, tmp_path), harmless[page])


@hostile
def test_a_label_stays_one_value_of_one_series(value: str) -> None:
    metrics = Metrics()
    metrics.observe(value, "v1", "ok", records=1, seconds=0.1, cpu_seconds=0.1)
    families = text_string_to_metric_families(metrics.exposition([]).decode())
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["model"] for sample in samples if "model" in sample.labels} == {value}


@hostile
def test_a_log_line_stays_one_line_that_no_terminal_obeys(value: str) -> None:
    line = _to_json({"event": value, value: value})
    assert json.loads(line) == {"event": value, value: value}
    assert b"\n" not in line
    assert b"\x1b" not in line


def test_dashboards_show_labels_in_panels_that_render_no_html_and_put_them_into_links_encoded() -> None:
    for board in dashboards():
        assert not {panel["type"] for panel in panels(board)} & {"text", "canvas", "html"}
        addresses = [found["url"] for found in links_of(board)]
        for address in addresses:
            parameters = address.partition("?")[2]
            assert parameters.count("${__data.fields.") == parameters.count(":percentencode}"), address
            assert address.startswith(("/d/", "${live_page}", "${reports}")) or not address, address


def links_of(part: Any) -> list[dict[str, Any]]:
    """Everything with an address, at any depth."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    own = [part] if isinstance(part, dict) and isinstance(part.get("url"), str) else []
    return own + [found for each in inner for found in links_of(each)]
