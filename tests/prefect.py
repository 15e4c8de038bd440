"""A real Prefect server for tests, the flows served on it, and what they left on the server."""

import sys
from typing import Any

import requests

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
            "PREFECT_PORT": str(self.port),
            "PREFECT_URL": f"http://127.0.0.1:{self.port}",
            "REPORTS_URL": "http://reports.example/r/",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(services.folder / "prefect-ui"),
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        }

    def program(self, name: str, arguments: list[str], ready: Any) -> Program:
        log = self.services.folder / f"{name}.log"
        program = Program([sys.executable, *arguments], self.environment, log, ready)
        self.services.programs.append(program)
        return program

    def server(self) -> Program:
        return self.program("prefect", ["-m", "batch_flows.server"], lambda: answers(f"{self.api}/health"))

    @property
    def auth_string(self) -> str:
        """What a person types into the page that asks for it."""
        return (self.services.data_dir / "secrets" / "prefect").read_text().strip()

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """With the password."""
        auth = tuple(self.auth_string.split(":"))
        return requests.request(method, f"{self.api}{path}", auth=auth, timeout=30, **more)

    def flows(self) -> Program:
        return self.program("flows", ["-m", "batch_flows.serve"], lambda: self.deployment() is not None)

    def deployment(self, name: str = "drift-report/taxi") -> dict[str, Any] | None:
        answer = self.request("GET", f"/deployments/name/{name}")
        return answer.json() if answer.ok else None

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer; a 503 means that the server's SQLite is busy, and Prefect's own client asks again too."""
        answers: list[requests.Response] = []

        def answered() -> bool:
            answers[:] = [self.request(method, path, json=body)]
            return answers[0].status_code != 503

        wait_until(answered, f"Prefect to answer {path}")
        assert answers[0].ok, answers[0].text
        return answers[0].json()

    def run(self, parameters: dict[str, Any], name: str = "drift-report/taxi") -> dict[str, Any]:
        """Trigger a run of a deployment, and what became of it."""
        path = f"/deployments/{self.deployment(name)['id']}/create_flow_run"
        run = f"/flow_runs/{self.ask('POST', path, {'parameters': parameters})['id']}"
        wait_until(lambda: self.ask("GET", run)["state_type"] in FINISHED, "the flow run to finish", 120)
        return self.ask("GET", run)

    def artifacts(self, flow_run: str) -> dict[str, dict[str, Any]]:
        chosen = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
        return {artifact["key"]: artifact for artifact in self.ask("POST", "/artifacts/filter", chosen)}

    def log(self, flow_run: str) -> str:
        chosen = {"logs": {"flow_run_id": {"any_": [flow_run]}}}
        return "\n".join(entry["message"] for entry in self.ask("POST", "/logs/filter", chosen))
