"""`python -m batch_flows.serve` against a real Prefect server: scheduled, run, and visible in its UI."""

import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from contracts.event_store import EventStore
from contracts.events import Prediction
from tests.bundles import make_trips
from tests.processes import Program, Services, answers, free_port, wait_until

FINISHED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Prefect:
    """A real Prefect server and its API."""

    def __init__(self, services: Services) -> None:
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.services = services
        self.environment = services.environment | {
            "PREFECT_HOME": str(services.folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "DO_NOT_TRACK": "1",
        }

    def program(self, name: str, arguments: list[str], ready: Any) -> Program:
        log = self.services.folder / f"{name}.log"
        program = Program([sys.executable, *arguments], self.environment, log, ready)
        self.services.programs.append(program)
        return program

    def server(self) -> Program:
        prefect = str(Path(sys.executable).with_name("prefect"))
        arguments = [prefect, "server", "start", "--port", str(self.port)]
        return self.program("prefect", arguments, lambda: answers(f"{self.api}/health"))

    def flows(self) -> Program:
        return self.program("flows", ["-m", "batch_flows.serve"], lambda: self.deployment() is not None)

    def deployment(self) -> dict[str, Any] | None:
        answer = requests.get(f"{self.api}/deployments/name/drift-report/taxi", timeout=10)
        return answer.json() if answer.ok else None

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer; a 503 means that the server's SQLite is busy, and Prefect's own client asks again too."""
        answers: list[requests.Response] = []

        def answered() -> bool:
            answers[:] = [requests.request(method, f"{self.api}{path}", json=body, timeout=30)]
            return answers[0].status_code != 503

        wait_until(answered, f"Prefect to answer {path}")
        assert answers[0].ok, answers[0].text
        return answers[0].json()

    def run(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Trigger a run of the deployment, and what became of it."""
        path = f"/deployments/{self.deployment()['id']}/create_flow_run"
        run = f"/flow_runs/{self.ask('POST', path, {'parameters': parameters})['id']}"
        wait_until(lambda: self.ask("GET", run)["state_type"] in FINISHED, "the flow run to finish", 120)
        return self.ask("GET", run)

    def artifacts(self, flow_run: str) -> dict[str, dict[str, Any]]:
        chosen = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
        return {artifact["key"]: artifact for artifact in self.ask("POST", "/artifacts/filter", chosen)}


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
    described = deployment["parameter_openapi_schema"]["properties"]
    assert all(parameter["description"] for parameter in described.values())

    drifted = prefect.run({"model": "taxi", **window})
    assert drifted["state_type"] == "COMPLETED", drifted["state"]["message"]
    assert "dataset drift: yes" in drifted["state"]["message"]
    artifacts = prefect.artifacts(drifted["id"])
    assert {"drift-report-taxi-scores", "drift-report-taxi-summary"} <= set(artifacts)
    assert "trip_distance" in artifacts["drift-report-taxi-scores"]["data"]
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        (document,) = store.reports("taxi")
    assert document["html"] in artifacts["drift-report-taxi-summary"]["data"]
    assert (services.data_dir / "reports" / document["html"]).is_file()

    empty = prefect.run({"model": "taxi", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"})
    assert (empty["state_type"], empty["state_name"]) == ("COMPLETED", "Empty")
    assert empty["state"]["message"].startswith("no predictions of taxi version v1")

    assert flows.stop() == 0
    assert prefect.deployment()["paused"] is True  # or the server would pile up runs that nobody takes
