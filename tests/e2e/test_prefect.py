"""`python -m batch_flows.serve` against a real Prefect server: scheduled, run, and visible in its UI.

One server and one store serve all tests of this file, in their order: a server's start takes longer than a test.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from sextant.contracts.events import Prediction
from sextant.infrastructure.event_store import EventStore
from tests.browser import needs_chromium, open_page
from tests.bundles import make_trips, publish_trips
from tests.conftest import publish_real_bundles
from tests.prefect import Prefect
from tests.processes import Program, Services, wait_until

pytestmark = pytest.mark.timeout(400)

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, calibrations: Path) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("scheduled"), calibrations)
    publish_real_bundles(services.models_dir)
    try:
        services.mongo().start()
        add_trips(services, 400, START)
        yield services
    finally:
        services.stop_all()


@pytest.fixture(scope="module")
def prefect(services: Services) -> Prefect:
    return Prefect(services)


@pytest.fixture(scope="module")
def flows(prefect: Prefect) -> Program:
    """Flows that were started before their server, and waited for it."""
    flows = prefect.flows().start(wait=False)
    wait_until(
        lambda: "waiting for the Prefect server" in flows.log.read_text(), "the flows to say what they want"
    )
    prefect.server().start()
    flows.wait_ready()
    return flows


@pytest.fixture(scope="module")
def drifted(prefect: Prefect, flows: Program) -> dict[str, Any]:
    """The run of a report over an hour of drifted predictions."""
    return prefect.run(
        {"model": "taxi", "start": START.isoformat(), "end": (START + timedelta(hours=1)).isoformat()}
    )


def add_trips(services: Services, rows: int, start: datetime) -> None:
    trips = make_trips(rows, seed=3, distance_factor=1.6).to_dict("records")
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        store.add_predictions(
            [
                Prediction(
                    prediction_id=str(number),
                    model="taxi",
                    model_version="v1",
                    created_at=start + timedelta(milliseconds=number),
                    features={name: trip[name] for name in ("PULocationID", "DOLocationID", "trip_distance")},
                    prediction=trip["prediction"],
                )
                for number, trip in enumerate(trips)
            ]
        )


def test_a_deployment_is_scheduled_and_describes_its_parameters(prefect: Prefect, flows: Program) -> None:
    deployment = prefect.deployment()
    assert deployment["schedules"][0]["schedule"]["interval"] == 3600.0
    assert deployment["tags"] == ["drift", "taxi"]
    described = deployment["parameter_openapi_schema"]["properties"]
    assert all(parameter["description"] for parameter in described.values())


def test_a_run_leaves_a_report_and_artifacts(
    prefect: Prefect, services: Services, drifted: dict[str, Any]
) -> None:
    assert drifted["state_type"] == "COMPLETED", drifted["state"]["message"]
    assert "dataset drift: yes" in drifted["state"]["message"]
    wait_until(
        lambda: "400 predictions of version v1" in prefect.log(drifted["id"]), "the run's log to say counts"
    )
    artifacts = prefect.artifacts(drifted["id"])
    assert set(artifacts) == {f"drift-report-taxi-{what}" for what in ("report", "scores", "summary")}
    table = json.loads(artifacts["drift-report-taxi-scores"]["data"])
    (distance,) = [row for row in table if (row["name"], row["subject"]) == ("drift", "trip_distance")]
    assert distance["detected"] is True
    assert len(str(distance["value"])) <= len("0.00001234")
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        (document,) = store.reports("taxi")
    assert document["html"] in artifacts["drift-report-taxi-summary"]["data"]
    assert f"http://reports.example/r/{document['html']}" in artifacts["drift-report-taxi-report"]["data"]
    assert (services.data_dir / "reports" / document["html"]).is_file()


@needs_chromium
def test_the_page_of_a_run_names_the_flow_its_outcome_and_its_artifacts(
    prefect: Prefect, drifted: dict[str, Any]
) -> None:
    with open_page(f"http://127.0.0.1:{prefect.port}/") as (page, wrong):
        password = page.get_by_placeholder("admin:pass")
        password.fill(prefect.auth_string, timeout=WAIT_MS)
        password.press("Enter")
        expect(password).to_be_hidden(timeout=WAIT_MS)
        page.goto(f"http://127.0.0.1:{prefect.port}/runs/flow-run/{drifted['id']}")
        for text in ("drift of taxi", "drift-report", "Completed", "Load model bundle"):
            expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=WAIT_MS)
        page.get_by_text("Artifacts", exact=True).click()
        for key in ("drift-report-taxi-report", "drift-report-taxi-scores", "drift-report-taxi-summary"):
            expect(page.get_by_text(key, exact=True)).to_be_visible(timeout=WAIT_MS)
        page.get_by_text("drift-report-taxi-scores", exact=True).click()
        expect(page.get_by_text("trip_distance", exact=True).first).to_be_visible(timeout=WAIT_MS)
        assert [said for said in wrong if said.startswith("asks ")] == []  # its own faults are not ours


def test_without_the_password_the_api_tells_that_it_is_up_and_nothing_else(
    prefect: Prefect, flows: Program
) -> None:
    assert requests.get(f"{prefect.api}/health", timeout=10).ok
    run = f"/deployments/{prefect.deployment('retention/nightly')['id']}/create_flow_run"
    for auth in (None, ("sextant", "guessed")):
        for method, path in (("GET", "/version"), ("POST", "/deployments/filter"), ("POST", run)):
            answer = requests.request(method, prefect.api + path, json={}, auth=auth, timeout=10)
            assert answer.status_code == 401, path


def test_a_page_of_another_origin_may_not_use_the_api_and_the_server_s_own_may(
    prefect: Prefect, flows: Program
) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    url = f"{prefect.api}/deployments/filter"
    foreign = requests.options(url, headers={"Origin": "https://evil.example", **asks}, timeout=10)
    assert foreign.status_code == 400
    assert "Access-Control-Allow-Origin" not in foreign.headers
    answer = prefect.request("POST", "/deployments/filter", json={}, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    for host in ("127.0.0.1", "localhost"):
        own = f"http://{host}:{prefect.port}"
        allowed = requests.options(url, headers={"Origin": own, **asks}, timeout=10)
        assert allowed.headers["Access-Control-Allow-Origin"] == own


def test_a_run_imports_from_the_operator_s_folder_and_quotes_no_other_file(
    prefect: Prefect, services: Services, flows: Program
) -> None:
    imports = services.data_dir / "imports"
    imports.mkdir(exist_ok=True)
    (services.folder / "passwords.txt").write_text("root:hunter2\n")
    (imports / "link.csv").symlink_to(services.folder / "passwords.txt")
    run = prefect.run({"path": "link.csv"}, "import-targets/on-demand")
    assert run["state_type"] == "FAILED"
    assert run["state"]["message"].startswith(f"link.csv is not a file in {imports}")
    assert "hunter2" not in json.dumps(run) + prefect.log(run["id"])

    (imports / "targets.csv").write_text("prediction_id,target\n7,12.5\n8,private words\n")
    run = prefect.run({"path": "targets.csv"}, "import-targets/on-demand")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert "2 rows: 1 matched, 0 unknown, 1 malformed" in run["state"]["message"]
    artifacts = json.dumps(list(prefect.artifacts(run["id"]).values()))
    assert "private words" not in json.dumps(run) + prefect.log(run["id"]) + artifacts
    assert "private words" in (services.data_dir / "staging" / "targets.csv.rejected.csv").read_text()


def test_one_run_of_each_deployment_goes_on_at_a_time_and_nothing_is_deleted_unasked(
    prefect: Prefect, flows: Program
) -> None:
    for name in ("health-summary/weekly", "retention/nightly"):
        assert "cron" in prefect.deployment(name)["schedules"][0]["schedule"], name
    assert set(prefect.deployment("retention/nightly")["parameter_openapi_schema"]["properties"]) == {"model"}
    for name in ("import-targets/on-demand", "compare-models/on-demand"):
        assert prefect.deployment(name)["schedules"] == [], name
    for deployment in prefect.ask("POST", "/deployments/filter", {}):
        assert deployment["global_concurrency_limit"]["limit"] == 1, deployment["name"]
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"


def test_a_model_that_is_published_later_is_served_too_and_what_stops_is_paused(
    prefect: Prefect, services: Services, flows: Program
) -> None:
    assert prefect.deployment("drift-report/late") is None
    publish_trips(services.models_dir, name="late")
    wait_until(lambda: prefect.deployment("drift-report/late"), "the new model to be served")
    found = prefect.run({}, "drift-report/late")
    assert (found["state_type"], found["state_name"]) == ("COMPLETED", "Empty")
    assert found["state"]["message"].startswith("no predictions of late version v1")
    assert prefect.deployment()["paused"] is False  # serving went on

    assert flows.stop() == 0
    for name in ("drift-report/taxi", "drift-report/late"):
        assert prefect.deployment(name)["paused"] is True  # or the server would pile up runs that nobody takes
    move_to_work_pool(prefect, "drift-report/late")
    flows.start(wait=False)
    wait_until(lambda: not prefect.deployment("drift-report/late")["paused"], "the schedule to go on")
    assert prefect.deployment("drift-report/late")["work_pool_name"] is None


def move_to_work_pool(prefect: Prefect, name: str) -> None:
    """What going to Kubernetes does (see docs/prefect-kubernetes.md); serving must take the deployment back."""
    prefect.ask("POST", "/work_pools/", {"name": "elsewhere", "type": "kubernetes"})
    path = f"/deployments/{prefect.deployment(name)['id']}"
    assert prefect.request("PATCH", path, json={"work_pool_name": "elsewhere"}).ok
    assert prefect.deployment(name)["work_pool_name"] == "elsewhere"
