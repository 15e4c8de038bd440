"""Every answer of both services says what a browser may do with it, and pages allow no more than they need."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from batch_flows.compare_models.page import render as comparison_page
from batch_flows.health_summary.facts import Health
from batch_flows.health_summary.page import render as health_page
from batch_flows.reports.index import Reports
from batch_flows.reports.index import render as index_page
from prediction_service.live_models import LiveModels
from prediction_service.metrics import Metrics
from sextant.contracts.page_policy import HEADERS, PLOTS, REPORTS, own_parts
from sextant.infrastructure.settings import load_settings
from tests.bundles import publish_trips
from tests.compared_versions import regression
from tests.conftest import publish_real_bundles
from tests.health import START, WINDOW, week
from tests.monitoring_harness import FakeStore, Harness, trip_events
from tests.prediction_client import TRIP, FakeEventLog, make_client

REMOTE = re.compile(r"https?:|//|\*")
INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


@pytest.fixture
def prediction(tmp_path: Path) -> FlaskClient:
    publish_real_bundles(tmp_path)
    return make_client(LiveModels(tmp_path), FakeEventLog(), Metrics())


@pytest.fixture
def monitoring(tmp_path: Path) -> FlaskClient:
    publish_trips(tmp_path / "models")
    harness = Harness(load_settings(data_dir=tmp_path), FakeStore())
    harness.post(trip_events(50))
    return harness.client


def addresses(client: FlaskClient) -> list[str]:
    """One of every GET route, and one that there is not."""
    values = {"name": "taxi", "alert": "DatasetDrift", "filename": "swagger-ui.css"}
    rules = [rule for rule in client.application.url_map.iter_rules() if "GET" in (rule.methods or ())]
    return [re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], rule.rule) for rule in rules] + [
        "/nowhere"
    ]


@pytest.mark.parametrize("service", ["prediction", "monitoring"])
def test_every_answer_has_the_headers_and_a_policy_that_lets_nothing_in_from_elsewhere(
    service: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring_service.pages.window_report._render", lambda _: "<html></html>")
    client: FlaskClient = request.getfixturevalue(service)
    found = addresses(client)
    assert len(found) >= 8
    answers = [client.get(address) for address in found] + [client.post("/predict", json=TRIP), client.put("/")]
    for answer in answers:
        assert set(HEADERS) <= set(answer.headers.items()), answer.request.path
        (policy,) = answer.headers.getlist("Content-Security-Policy")
        assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'"), answer.request.path
        assert "frame-ancestors 'none'" in policy
        assert not REMOTE.search(policy), answer.request.path


def test_pages_of_ours_allow_no_inline_script_or_style_but_their_own(
    prediction: FlaskClient, monitoring: FlaskClient
) -> None:
    for client, address in ((prediction, "/docs/"), (monitoring, "/"), (monitoring, "/docs/runbooks/")):
        answer = client.get(address)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy, address
        assert_allows_what_the_page_holds(answer.text, policy)


def test_report_pages_carry_their_policy_wherever_they_are_opened_from() -> None:
    index = index_page(Reports())
    comparison, health = (
        comparison_page(regression(0.5), START),
        health_page(Health(WINDOW, [week()]), START, "p.js"),
    )
    for page in (index, comparison, health):
        (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
        policy = policy.replace("&#39;", "'")
        assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'")
        assert not REMOTE.search(policy)
        assert "script-src 'unsafe" not in policy
        assert_allows_what_the_page_holds(page, policy)


def test_evidently_s_pages_run_inline_scripts_that_may_load_and_send_nothing() -> None:
    assert "connect-src" not in PLOTS
    assert PLOTS.startswith("default-src 'none'")
    assert "allow-same-origin" not in REPORTS
    assert not REMOTE.search(REPORTS)


def test_a_script_that_got_into_a_page_is_not_among_those_that_stand_in_its_template() -> None:
    policy = own_parts("<script>ours()</script>")
    assert hash_of("ours()") in policy
    assert "unsafe" not in policy


def assert_allows_what_the_page_holds(page: str, policy: str) -> None:
    for kind, text in INLINE.findall(page):
        allowed = dict(part.split(" ", 1) for part in policy.split("; "))[f"{kind}-src"]
        assert hash_of(text) in allowed or "'unsafe-inline'" in allowed, text[:80]


def hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
