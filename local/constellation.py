"""Which programs make up the local constellation, with which environment, on which ports."""

import json
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.settings import TELEMETRY_OFF, Settings, child_environment

ROOT = Path(__file__).resolve().parent.parent
PROCFILE = Path(__file__).with_name("Procfile")


@dataclass(frozen=True, slots=True)
class Part:
    """A program of the constellation and how a person or a check reaches it."""

    name: str
    port: int | None = None
    setting: str = ""
    ready_path: str | None = None
    says: str = ""
    program: str | None = None


@dataclass(frozen=True, slots=True)
class Constellation:
    """The parts that run here, and the optional ones that are not installed."""

    parts: tuple[Part, ...]
    absent: tuple[Part, ...]


def constellation(settings: Settings) -> Constellation:
    """What runs here: MongoDB's stand-in unless MONGODB_URI names a server; Prometheus when it is installed."""
    own_mongo = "mongodb_uri" in settings.model_fields_set
    parts = [
        Part("mongo", settings.mongodb_port, "MONGODB_PORT"),
        Part("prediction", settings.prediction_port, "PREDICTION_PORT", "/readyz", "predictions, docs at /docs"),
        Part("relay", settings.relay_port, "RELAY_PORT", "/metrics"),
        Part("monitoring", settings.monitoring_port, "MONITORING_PORT", "/readyz", "live drift page"),
        Part("prefect", settings.prefect_port, "PREFECT_PORT", "/api/health", "Prefect, the scheduled flows"),
        Part("flows"),
        Part("reports", settings.reports_port, "REPORTS_PORT", "/", "HTML reports"),
        Part("prometheus", settings.prometheus_port, "PROMETHEUS_PORT", "/-/ready", "Prometheus", "prometheus"),
    ]
    wanted = [part for part in parts if not (part.name == "mongo" and own_mongo)]
    absent = [part for part in wanted if part.program and not shutil.which(part.program)]
    return Constellation(tuple(part for part in wanted if part not in absent), tuple(absent))


def ports_in_use(parts: tuple[Part, ...]) -> list[str]:
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


def environment(settings: Settings) -> dict[str, str]:
    """The environment of every part: settings made absolute, and telemetry off."""
    data = settings.data_dir.resolve()
    addresses = {
        "MONGODB_URI": settings.mongodb_uri
        if "mongodb_uri" in settings.model_fields_set
        else f"mongodb://127.0.0.1:{settings.mongodb_port}",
        "MONITORING_URL": f"http://127.0.0.1:{settings.monitoring_port}",
        "PREDICTION_URL": f"http://127.0.0.1:{settings.prediction_port}",
        "PROMETHEUS_URL": f"http://127.0.0.1:{settings.prometheus_port}",
        "PREFECT_API_URL": f"http://127.0.0.1:{settings.prefect_port}/api",
    }
    ports = {part.setting: str(part.port) for part in constellation(settings).parts if part.setting}
    bin_dir = str(Path(sys.executable).parent)
    inherited = child_environment()
    return child_environment(
        **addresses,
        **ports,
        DATA_DIR=str(data),
        PATH=f"{bin_dir}:{inherited.get('PATH', '')}",
        PYTHONPATH=str(ROOT),
        PYTHONUNBUFFERED="1",
        PREFECT_HOME=str(data / "prefect"),
        PREFECT_LOGGING_SERVER_LEVEL="WARNING",
        **TELEMETRY_OFF,
    )


def commands() -> Mapping[str, str]:
    """The Procfile's shell commands, by name."""
    lines = (line.partition(":") for line in PROCFILE.read_text().splitlines() if line.strip())
    return {name: command.strip() for name, _, command in lines}


def write_prometheus_files(settings: Settings) -> None:
    """A copy of prometheus/ under data/ whose targets are this machine's ports."""
    folder = settings.data_dir / "prometheus"
    shutil.copytree(ROOT / "prometheus", folder, dirs_exist_ok=True)
    ports = {
        "prediction": settings.prediction_port,
        "relay": settings.relay_port,
        "monitoring": settings.monitoring_port,
        "prometheus": settings.prometheus_port,
    }
    targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"job": job}} for job, port in ports.items()]
    (folder / "targets" / "sextant.json").write_text(json.dumps(targets, indent=2) + "\n")
