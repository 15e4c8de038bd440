"""The runbooks as pages of the monitoring service: found by the alert's name, legible, and never another file."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from monitoring_service.app import create_app
from monitoring_service.pages.runbooks import RUNBOOKS, Runbooks
from monitoring_service.service import MonitoringService
from sextant.infrastructure.settings import load_settings
from tests.bundles import publish_trips
from tests.monitoring_harness import FakeStore

DRIFT = """# FeatureDrift

See [the others](ServiceDown.md#steps), [Grafana](https://grafana.example/d/x) and [the docs](../monitoring.md).

| panel | tells |
| --- | --- |
| score | `sextant_drift_score` |

<script>alert(1)</script> and [a trap](javascript:alert(1)).
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> MonitoringService:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"))
    publish_trips(settings.models_dir, rows=300)
    return MonitoringService(settings, FakeStore())


@pytest.fixture
def client(service: MonitoringService, tmp_path: Path) -> FlaskClient:
    runbooks = tmp_path / "runbooks"
    runbooks.mkdir()
    (runbooks / "FeatureDrift.md").write_text(DRIFT)
    (runbooks / "ServiceDown.md").write_text("# ServiceDown\n")
    (runbooks / "notes.txt").write_text("not a runbook")
    (tmp_path / "secret.md").write_text("# Secret\n")
    return client_of(service, runbooks)


def client_of(service: MonitoringService, runbooks: Path) -> FlaskClient:
    return create_app(service.settings, service, "", Runbooks(runbooks)).test_client()


def test_an_alert_has_its_runbook_as_a_page_with_tables(client: FlaskClient) -> None:
    answer = client.get("/docs/runbooks/FeatureDrift.md")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert '<h1 id="featuredrift">FeatureDrift</h1>' in answer.text
    assert "<td><code>sextant_drift_score</code></td>" in answer.text
    assert 'name="viewport"' in answer.text


def test_the_list_leads_to_every_runbook_and_to_nothing_else(client: FlaskClient) -> None:
    page = client.get("/docs/runbooks/").text
    links = re.findall(r'<li><a href="([^"]+)"', page)
    assert links == ["FeatureDrift.md", "ServiceDown.md"]
    assert {client.get(f"/docs/runbooks/{link}").status_code for link in links} == {200}


def test_links_between_runbooks_and_to_the_outside_work_and_dead_ones_are_text(client: FlaskClient) -> None:
    page = client.get("/docs/runbooks/FeatureDrift.md").text
    assert '<a href="ServiceDown.md#steps">the others</a>' in page
    assert '<a href="https://grafana.example/d/x">Grafana</a>' in page
    assert "<span>the docs</span>" in page


def test_an_overview_takes_the_place_of_the_list_and_a_link_finds_its_section(
    service: MonitoringService, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("# Runbooks\n\n## Going back, step by step\n")
    client = client_of(service, tmp_path)
    assert 'id="going-back-step-by-step"' in client.get("/docs/runbooks/").text
    assert client.get("/docs/runbooks/README.md").status_code == 200


def test_html_and_scripts_in_a_runbook_stay_text(client: FlaskClient) -> None:
    answer = client.get("/docs/runbooks/FeatureDrift.md")
    assert "<script>" not in answer.text
    assert 'href="javascript:' not in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "name",
    [
        "Nope.md",
        "FeatureDrift",
        "notes.txt",
        "notes.txt.md",
        "../secret.md",
        "..%2fsecret.md",
        "%2e%2e/secret.md",
        "....//secret.md",
        "/etc/passwd.md",
        "%2fetc%2fpasswd.md",
        "FeatureDrift.md%00.md",
        "*.md",
        ".md",
        "x" * 5_000 + ".md",
    ],
)
def test_an_unknown_name_and_a_way_out_of_the_folder_are_problems(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/docs/runbooks/{name}", follow_redirects=True)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert "Secret" not in answer.text


def test_without_runbooks_the_list_says_so(service: MonitoringService, tmp_path: Path) -> None:
    client = client_of(service, tmp_path / "nowhere")
    assert "There is none here." in client.get("/docs/runbooks/").text
    assert client.get("/docs/runbooks/ServiceDown.md").status_code == 404


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_runbook_of_ours_is_a_page_that_begins_with_a_heading(path: Path) -> None:
    html = Runbooks().html(path.stem)
    assert html is not None
    assert html.startswith("<h1")


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_link_between_our_runbooks_leads_to_a_page_and_to_a_section_of_it(path: Path) -> None:
    runbooks = Runbooks()
    for page, section in re.findall(r'href="([\w-]+)\.md(?:#([^"]+))?"', runbooks.html(path.stem) or ""):
        assert f'id="{section}"' in (runbooks.html(page) or "") if section else runbooks.html(page)


def test_the_overview_of_our_runbooks_leads_to_each_of_them(service: MonitoringService) -> None:
    page = client_of(service, RUNBOOKS).get("/docs/runbooks/").text
    linked = {link.removesuffix(".md") for link in re.findall(r'href="([\w-]+\.md)"', page)}
    assert set(Runbooks().alerts()) == linked


def test_the_image_holds_the_runbooks_where_the_service_looks_for_them() -> None:
    root = RUNBOOKS.parents[1]
    folder = RUNBOOKS.relative_to(root).as_posix()
    assert f"COPY {folder} {folder}" in (root / "monitoring_service" / "Dockerfile").read_text()
    assert f"!{folder}" in (root / ".dockerignore").read_text().splitlines()
