"""A real Alertmanager for tests, with the rendered configuration and the waiting taken out of it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import requests

from sextant.alerting.configuration import configuration
from sextant.alerting.files import Secrets, write
from sextant.infrastructure.settings import Settings
from tests.alert_receivers import WebhookReceiver
from tests.processes import Program, answers, free_port

PROGRAM = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
needs_alertmanager = pytest.mark.skipif(PROGRAM is None, reason="Alertmanager is not on the PATH")
needs_amtool = pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not on the PATH")

LABELS = {"alertname": "DatasetDrift", "severity": "warning", "model": "taxi", "version": "v3"}
RUNBOOK = "http://live.example.com/docs/runbooks/DatasetDrift.md"
DASHBOARD = "http://grafana.example.com/d/sextant-live-drift?var-model=taxi"
GRAPH = "http://prometheus.example.com/graph?g0.expr=sextant_dataset_drift+%3D%3D+1&g0.tab=1"
ANNOTATIONS = {
    "summary": "Traffic no longer looks like the reference.",
    "description": "Most drifted: trip_distance, PULocationID, DOLocationID.",
    "runbook_url": RUNBOOK,
    "dashboard_url": DASHBOARD,
}


def alert(*, resolved: bool = False, annotations: dict[str, str] = ANNOTATIONS, **labels: str) -> dict[str, Any]:
    ends = datetime.now(UTC) + timedelta(seconds=-1 if resolved else 600)
    times = {"startsAt": (ends - timedelta(hours=1)).isoformat(), "endsAt": ends.isoformat()}
    return {"labels": {**LABELS, **labels}, "annotations": annotations, "generatorURL": GRAPH, **times}


def sooner(config: dict[str, Any]) -> dict[str, Any]:
    """The same configuration with short waits, but long enough that alerts posted together are told together."""
    at_once = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    routes = [{**each, **at_once} for each in config["route"]["routes"]]
    return {**config, "route": {**config["route"], **at_once, "routes": routes}}


class Alertmanager:
    """One with a port of its own that reads alertmanager.yml in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = [f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/storage"]
        arguments += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        arguments += [f"--web.external-url={self.url}"]
        ready = lambda: answers(f"{self.url}/-/ready")  # noqa: E731
        self.program = Program([PROGRAM or "", *arguments], {}, folder / "alertmanager.log", ready)

    def post(self, *alerts: dict[str, Any]) -> None:
        requests.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=10).raise_for_status()

    def alerts(self) -> dict[str, dict[str, Any]]:
        found = requests.get(f"{self.url}/api/v2/alerts", timeout=10).json()
        return {each["labels"]["alertname"]: each for each in found}

    def notifications(self) -> float:
        lines = requests.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("alertmanager_notifications_total")
        )


NO_SECRETS = Secrets()
Start = Callable[..., Alertmanager]


@contextmanager
def alertmanagers(folder: Path) -> Iterator[Start]:
    """Gives a function that starts one for secrets and settings; it is stopped at the end."""
    with ExitStack() as stack:

        def start(secrets: Secrets = NO_SECRETS, **settings: Any) -> Alertmanager:
            config = configuration(Settings(alert_smtp_tls=False, **settings), secrets)
            write(sooner(config), folder / "alertmanager.yml")
            alertmanager = Alertmanager(folder)
            stack.callback(alertmanager.program.stop)
            alertmanager.program.start()
            return alertmanager

        yield start


def embed(receiver: WebhookReceiver, number: int = 0) -> dict[str, str]:
    (found,) = receiver.posts[number]["embeds"]
    return found


def bodies(message: EmailMessage) -> dict[str, str]:
    parts = [part for part in message.walk() if not part.is_multipart()]
    return {part.get_content_subtype(): part.get_content() for part in parts}
