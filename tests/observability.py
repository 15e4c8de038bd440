"""Real Prometheus, Alertmanager and node exporter around services under test, by the Procfile's own commands."""

import shutil
from typing import Any

import pytest
import requests

from sextant.infrastructure.settings import Settings
from sextant.local.constellation import commands, constellation
from sextant.local.environment import environment, write_alertmanager_file, write_prometheus_files
from tests.processes import Program, Services, answers, free_port

PROGRAMS = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")
needs_the_monitoring_stack = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason="Prometheus, Alertmanager or the node exporter is not installed"
)
PORTS = ("prometheus", "alertmanager", "node_exporter", "grafana", "reports")


class Observability:
    """What watches the services; settings such as ALERT_* may be given by their field names."""

    def __init__(self, services: Services, **settings: Any) -> None:
        self.services = services
        ports = {f"{name}_port": free_port() for name in PORTS}
        ours = {name.lower(): value for name, value in services.environment.items()}
        self.settings = Settings(**ours, **ports, **settings)
        self.prometheus_url = f"http://127.0.0.1:{self.settings.prometheus_port}"
        self.alertmanager_url = f"http://127.0.0.1:{self.settings.alertmanager_port}"
        there = constellation(self.settings)
        (services.data_dir / "logs").mkdir(parents=True, exist_ok=True)
        write_prometheus_files(self.settings, there)
        write_alertmanager_file(self.settings)

    def start(self) -> None:
        """Start all three and wait until they answer."""
        ready = {
            "alertmanager": f"{self.alertmanager_url}/-/ready",
            "node-exporter": f"http://127.0.0.1:{self.settings.node_exporter_port}/metrics",
            "prometheus": f"{self.prometheus_url}/-/ready",
        }
        for name, url in ready.items():
            self._program(name, url).start(wait=False)
        for program in self.services.programs[-len(ready) :]:
            program.wait_ready()

    def _program(self, name: str, ready: str) -> Program:
        command = ["bash", "-c", f"exec {commands()[name]}"]
        program = Program(
            command, environment(self.settings), self.services.folder / f"{name}.log", lambda: answers(ready)
        )
        self.services.programs.append(program)
        return program

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an instant query finds; its error, if any, fails the test."""
        answer = requests.post(
            f"{self.prometheus_url}/api/v1/query", data={"query": expression}, timeout=30
        ).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found = answer["data"]["result"]
        return found if answer["data"]["resultType"] in ("vector", "matrix") else [{"value": found}]

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        return {alert["labels"]["alertname"] for alert in self._alerts()}

    def description(self, alert: str) -> str:
        """What the firing alerts of this name say now; a notification holds what they said when it was sent."""
        said = (
            a["annotations"].get("description", "") for a in self._alerts() if a["labels"]["alertname"] == alert
        )
        return "\n".join(said)

    def _alerts(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.prometheus_url}/api/v1/alerts", timeout=30).json()
        return [alert for alert in answer["data"]["alerts"] if alert["state"] == "firing"]

    def rules(self) -> list[dict[str, Any]]:
        """Every recording rule and alert that Prometheus has loaded, with its health."""
        answer = requests.get(f"{self.prometheus_url}/api/v1/rules", timeout=30).json()
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]
