"""`python -m batch_flows.serve` against a real Prefect server: scheduled, run, and visible in its UI."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import requests

from sextant.contracts.events import Prediction
from sextant.infrastructure.event_store import EventStore
from tests.bundles import make_trips, publish_trips
from tests.prefect import Prefect
from tests.processes import Services, wait_until


@pytest.fixture
def prefect(services: Services) -> Prefect:
    services.mongo().start()
    return Prefect(services)


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


@pytest.mark.timeout(400)
def test_a_served_flow_waits_for_its_server_runs_and_leaves_artifacts(
    prefect: Prefect, services: Services
) -> None:
    start = datetime(2026, 3, 1, 8, tzinfo=UTC)
    window = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    add_trips(services, 400, start)

    flows = prefect.flows().start(wait=False)
    wait_until(
        lambda: "waiting for the Prefect server" in flows.log.read_text(), "the flows to say what they want"
    )
    prefect.server().start()
    flows.wait_ready()
    deployment = prefect.deployment()
    assert deployment["schedules"][0]["schedule"]["interval"] == 3600.0
    assert deployment["tags"] == ["drift", "taxi"]
    described = deployment["parameter_openapi_schema"]["properties"]
    assert all(parameter["description"] for parameter in described.values())

    drifted = prefect.run({"model": "taxi", **window})
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

    empty = prefect.run({"model": "taxi", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"})
    assert (empty["state_type"], empty["state_name"]) == ("COMPLETED", "Empty")
    assert empty["state"]["message"].startswith("no predictions of taxi version v1")

    assert flows.stop() == 0
    assert prefect.deployment()["paused"] is True  # or the server would pile up runs that nobody takes


@pytest.mark.timeout(400)
def test_a_model_that_is_published_later_is_served_too_and_one_run_of_each_goes_on_at_a_time(
    prefect: Prefect, services: Services
) -> None:
    prefect.server().start()
    flows = prefect.flows().start()
    assert prefect.deployment("drift-report/late") is None
    publish_trips(services.models_dir, name="late")
    wait_until(lambda: prefect.deployment("drift-report/late"), "the new model to be served")
    found = prefect.run({}, "drift-report/late")
    assert found["state"]["message"].startswith("no predictions of late version v1")
    assert prefect.deployment()["paused"] is False  # serving went on

    for name in ("health-summary/weekly", "retention/nightly"):
        assert "cron" in prefect.deployment(name)["schedules"][0]["schedule"], name
    assert not prefect.deployment("retention/nightly")["parameters"].get("apply")  # nothing is deleted unasked
    for name in ("import-targets/on-demand", "compare-models/on-demand"):
        assert prefect.deployment(name)["schedules"] == [], name
    for deployment in prefect.ask("POST", "/deployments/filter", {}):
        assert deployment["global_concurrency_limit"]["limit"] == 1, deployment["name"]
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"

    flows.stop()
    assert prefect.deployment("drift-report/late")["paused"] is True
    move_to_work_pool(prefect, "drift-report/late")
    flows.start(wait=False)
    wait_until(lambda: not prefect.deployment("drift-report/late")["paused"], "the schedule to go on")
    assert prefect.deployment("drift-report/late")["work_pool_name"] is None


def move_to_work_pool(prefect: Prefect, name: str) -> None:
    """What going to Kubernetes does (see docs/prefect-kubernetes.md); serving must take the deployment back."""
    prefect.ask("POST", "/work_pools/", {"name": "elsewhere", "type": "kubernetes"})
    url = f"{prefect.api}/deployments/{prefect.deployment(name)['id']}"
    assert requests.patch(url, json={"work_pool_name": "elsewhere"}, timeout=30).ok
    assert prefect.deployment(name)["work_pool_name"] == "elsewhere"
