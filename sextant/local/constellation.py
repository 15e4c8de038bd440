"""Which programs make up the local constellation, on which ports, and which of them can run here."""

import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sextant.infrastructure.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PROCFILE = Path(__file__).with_name("Procfile")


@dataclass(frozen=True, slots=True)
class Part:
    """A program of the constellation and how a person or a check reaches it.

    A part with `programs`, any of which will do, comes from elsewhere and is optional.
    """

    name: str
    port: int | None = None
    setting: str = ""
    ready_path: str | None = None
    says: str = ""
    programs: tuple[str, ...] = ()

    @property
    def program(self) -> str | None:
        """Path of the first of its programs that is installed."""
        return next(filter(None, map(shutil.which, self.programs)), None)

    @property
    def program_variable(self) -> str:
        """The variable by which the Procfile knows that path."""
        return self.name.upper().replace("-", "_") + "_PROGRAM"


@dataclass(frozen=True, slots=True)
class Constellation:
    """The parts that run here, and why each of the others does not."""

    parts: tuple[Part, ...]
    absent: Mapping[str, str] = field(default_factory=dict)

    def port(self, name: str) -> int | None:
        """The port of a part that runs here."""
        return next((part.port for part in self.parts if part.name == name), None)


def all_parts(settings: Settings) -> tuple[Part, ...]:
    """Every part there may be: MongoDB's stand-in not when MONGODB_URI names a server."""
    own_mongo = "mongodb_uri" in settings.model_fields_set
    parts = (
        Part("mongo", settings.mongodb_port, "MONGODB_PORT"),
        Part("prediction", settings.prediction_port, "PREDICTION_PORT", "/readyz", "predictions, docs at /docs"),
        Part("relay", settings.relay_port, "RELAY_PORT", "/metrics"),
        Part("monitoring", settings.monitoring_port, "MONITORING_PORT", "/readyz", "live drift page"),
        Part("prefect", settings.prefect_port, "PREFECT_PORT", "/api/health", "Prefect, the scheduled flows"),
        Part("flows"),
        Part("reports", settings.reports_port, "REPORTS_PORT", "/", "HTML reports"),
        *_optional_parts(settings),
    )
    return parts[1:] if own_mongo else parts


def _optional_parts(settings: Settings) -> tuple[Part, ...]:
    """By the names that the programs have in Debian's packages, and elsewhere."""
    return (
        Part("prometheus", settings.prometheus_port, "PROMETHEUS_PORT", "/-/ready", "Prometheus", ("prometheus",)),
        Part(
            "alertmanager", settings.alertmanager_port, "ALERTMANAGER_PORT", "/-/ready",
            "Alertmanager, alerts and silences", ("prometheus-alertmanager", "alertmanager"),
        ),
        Part(
            "node-exporter", settings.node_exporter_port, "NODE_EXPORTER_PORT", "/metrics",
            programs=("prometheus-node-exporter", "node_exporter"),
        ),
        Part(
            "grafana", settings.grafana_port, "GRAFANA_PORT", "/api/health",
            "Grafana, the dashboards", ("grafana", "grafana-server"),
        ),
    )  # fmt: skip


def constellation(settings: Settings) -> Constellation:
    """What is installed here, and what is not."""
    parts = all_parts(settings)
    missing = [part for part in parts if part.programs and not part.program]
    there = tuple(part for part in parts if part not in missing)
    return Constellation(there, {part.name: f"{part.name} is not installed here" for part in missing})


def without_taken_ports(there: Constellation) -> Constellation:
    """The same without the optional parts whose port something else listens on."""
    taken = [part for part in there.parts if part.programs and ports_in_use([part])]
    reasons = {part.name: f"{part.name} finds {part.setting} {part.port} in use" for part in taken}
    return Constellation(tuple(part for part in there.parts if part not in taken), {**there.absent, **reasons})


def ports_in_use(parts: Sequence[Part]) -> list[str]:
    """'PREDICTION_PORT 9696' for each port that something else listens on."""
    return [f"{part.setting} {part.port}" for part in parts if part.port and _is_taken(part.port)]


def _is_taken(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def commands() -> Mapping[str, str]:
    """The Procfile's shell commands, by name."""
    lines = (line.partition(":") for line in PROCFILE.read_text().splitlines() if line.strip())
    return {name: command.strip() for name, _, command in lines}
