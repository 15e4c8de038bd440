"""The environment of every part of the local constellation."""

import sys
from pathlib import Path

from sextant.infrastructure.settings import TELEMETRY_OFF, Settings, child_environment
from sextant.local.constellation import ROOT, all_parts
from sextant.local.grafana import grafana_environment


def environment(settings: Settings) -> dict[str, str]:
    """Settings made absolute, the ports of all parts, where their programs are, and telemetry off."""
    data = settings.data_dir.resolve()
    parts = all_parts(settings)
    ports = {part.setting: str(part.port) for part in parts if part.setting}
    programs = {part.program_variable: part.program for part in parts if part.program}
    bin_dir = str(Path(sys.executable).parent)
    inherited = child_environment()
    return child_environment(
        **inner_addresses(settings),
        **public_addresses(settings),
        **ports,
        **programs,
        **grafana_environment(settings, public_addresses(settings)["GRAFANA_URL"]),
        DATA_DIR=str(data),
        PATH=f"{bin_dir}:{inherited.get('PATH', '')}",
        PYTHONPATH=str(ROOT),
        PYTHONUNBUFFERED="1",
        PREFECT_HOME=str(data / "prefect"),
        PREFECT_LOGGING_SERVER_LEVEL="WARNING",
        **TELEMETRY_OFF,
    )


def inner_addresses(settings: Settings) -> dict[str, str]:
    """Where the parts find each other."""
    return {
        "MONGODB_URI": _chosen(settings, "mongodb_uri", f"mongodb://127.0.0.1:{settings.mongodb_port}"),
        "MONITORING_URL": _local(settings.monitoring_port),
        "PREDICTION_URL": _local(settings.prediction_port),
        "PROMETHEUS_URL": _local(settings.prometheus_port),
        "PREFECT_API_URL": f"{_local(settings.prefect_port)}/api",
    }


def public_addresses(settings: Settings) -> dict[str, str]:
    """Where people find them: links in alerts and on pages lead there."""
    return {
        "GRAFANA_URL": _chosen(settings, "grafana_url", _local(settings.grafana_port)),
        "LIVE_PAGE_URL": _chosen(settings, "live_page_url", _local(settings.monitoring_port)),
        "REPORTS_URL": _chosen(settings, "reports_url", _local(settings.reports_port)),
    }


def _chosen(settings: Settings, name: str, otherwise: str) -> str:
    return str(getattr(settings, name)) if name in settings.model_fields_set else otherwise


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"
