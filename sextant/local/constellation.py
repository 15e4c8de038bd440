"""Which programs make up the local constellation, on which ports, and which of them can run here."""

import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PROCFILE = Path(__file__).with_name("Procfile")


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the constellation and how a person or a check reaches it.

    One with `executables`, any of which will do, is not a Python package. The others run without an optional one.
    """

    name: str
    port: int | None = None
    port_setting: str = ""
    ready_path: str | None = None
    shows: str = ""
    executables: tuple[str, ...] = ()
    helper: bool = False

    @property
    def optional(self) -> bool:
        """Whether the others run without it."""
        return self.helper or bool(self.executables)

    @property
    def installed(self) -> bool:
        """Whether it can be started here."""
        return not self.executables or self.path is not None

    @property
    def path(self) -> str | None:
        """Path of the first of its executables that is installed."""
        return next(filter(None, map(shutil.which, self.executables)), None)

    @property
    def path_variable(self) -> str:
        """The variable by which the Procfile knows that path."""
        return self.name.upper().replace("-", "_") + "_PROGRAM"


@dataclass(frozen=True, slots=True)
class Constellation:
    """The programs that run here, and why each of the others does not."""

    programs: tuple[Program, ...]
    absent: Mapping[str, str] = field(default_factory=dict)

    def port(self, name: str) -> int | None:
        """The port of a program that runs here."""
        return next((program.port for program in self.programs if program.name == name), None)


def require_checkout(root: Path = ROOT) -> None:
    """Raise Fatal where Sextant was installed: what runs the constellation stands in the repository beside it."""
    if not (root / "prepare.py").is_file():
        raise Fatal(f"this runs from a checkout of Sextant's repository, which {root} is not")


def all_programs(settings: Settings) -> tuple[Program, ...]:
    """Every program there may be: MongoDB's stand-in not when MONGODB_URI names a server."""
    own_mongo = "mongodb_uri" in settings.model_fields_set
    programs = (
        Program("mongo", settings.mongodb_port, "MONGODB_PORT"),
        Program("prediction", settings.prediction_port, "PREDICTION_PORT", "/readyz", "predictions and /docs"),
        Program("relay", settings.relay_port, "RELAY_PORT", "/healthz"),
        Program("monitoring", settings.monitoring_port, "MONITORING_PORT", "/readyz", "live drift page"),
        Program("prefect", settings.prefect_port, "PREFECT_PORT", "/api/health", "Prefect, the scheduled flows"),
        Program("flows"),
        Program("reports", settings.reports_port, "REPORTS_PORT", "/healthz", "HTML reports", helper=True),
        *_optional_programs(settings),
    )
    return programs[1:] if own_mongo else programs


def _optional_programs(settings: Settings) -> tuple[Program, ...]:
    """By the names that the programs have in Debian's packages, and elsewhere."""
    return (
        Program(
            "prometheus", settings.prometheus_port, "PROMETHEUS_PORT", "/-/ready",
            "Prometheus", ("prometheus",),
        ),
        Program(
            "alertmanager", settings.alertmanager_port, "ALERTMANAGER_PORT", "/-/ready",
            "Alertmanager, alerts and silences", ("prometheus-alertmanager", "alertmanager"),
        ),
        Program(
            "node-exporter", settings.node_exporter_port, "NODE_EXPORTER_PORT", "/metrics",
            executables=("prometheus-node-exporter", "node_exporter"),
        ),
        Program(
            "grafana", settings.grafana_port, "GRAFANA_PORT", "/api/health",
            "Grafana, the dashboards", ("grafana", "grafana-server"),
        ),
    )  # fmt: skip


def constellation(settings: Settings) -> Constellation:
    """What is installed here, and what is not."""
    programs = all_programs(settings)
    missing = [program for program in programs if not program.installed]
    installed = tuple(program for program in programs if program not in missing)
    return Constellation(installed, {program.name: f"{program.name} is not installed here" for program in missing})


def without_taken_ports(found: Constellation) -> Constellation:
    """The same without the optional programs whose port something else listens on."""
    taken = [program for program in found.programs if program.optional and ports_in_use([program])]
    reasons = {each.name: f"{each.name} finds {each.port_setting} {each.port} in use" for each in taken}
    left = tuple(program for program in found.programs if program not in taken)
    return Constellation(left, {**found.absent, **reasons})


def ports_in_use(programs: Sequence[Program]) -> list[str]:
    """'PREDICTION_PORT 9696' for each port that something else listens on."""
    return [f"{each.port_setting} {each.port}" for each in programs if each.port and _is_taken(each.port)]


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
