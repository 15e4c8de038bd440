"""The environment of the local constellation's programs, and the configuration files that some of them read."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sextant.alerting.configuration import configuration
from sextant.alerting.files import configuration_file, read_secrets, write
from sextant.infrastructure.settings import TELEMETRY_OFF, Settings, child_environment
from sextant.local.constellation import ROOT, Constellation, all_programs

# By file of targets and job, the name of the program that Prometheus scrapes. Only ours are shown its key.
SCRAPED = {
    "sextant": {"prediction": "prediction", "relay": "relay", "monitoring": "monitoring"},
    "others": {"prometheus": "prometheus", "node": "node-exporter"},
    "alertmanager": {"alertmanager": "alertmanager"},
}

GRAFANA_SILENT = {
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
}

# Everyone on the loopback may look; there is no administrator whose password all would know.
GRAFANA_READ_ONLY = {
    "GF_AUTH_ANONYMOUS_ENABLED": "true",
    "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
    "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
}

GRAFANA_PACKAGE_HOME = Path("/usr/share/grafana")


def environment(settings: Settings) -> dict[str, str]:
    """Settings made absolute, all ports, where the programs are, and telemetry off."""
    data = settings.data_dir.resolve()
    programs = all_programs(settings)
    ports = {program.port_setting: str(program.port) for program in programs if program.port_setting}
    paths = {program.path_variable: path for program in programs if (path := program.path)}
    bin_dir = str(Path(sys.executable).parent)
    inherited = child_environment()
    return child_environment(
        **inner_addresses(settings),
        **public_addresses(settings),
        **ports,
        **paths,
        **_grafana_environment(settings, paths.get("GRAFANA_PROGRAM")),
        DATA_DIR=str(data),
        PATH=f"{bin_dir}:{inherited.get('PATH', '')}",
        PYTHONPATH=str(ROOT),
        PYTHONUNBUFFERED="1",
        PREFECT_HOME=str(data / "prefect"),
        PREFECT_LOGGING_SERVER_LEVEL="WARNING",
        **TELEMETRY_OFF,
    )


def inner_addresses(settings: Settings) -> dict[str, str]:
    """Where the programs find each other."""
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
        "PREFECT_URL": _chosen(settings, "prefect_url", _local(settings.prefect_port)),
        "LIVE_PAGE_URL": _chosen(settings, "live_page_url", _local(settings.monitoring_port)),
        "REPORTS_URL": _chosen(settings, "reports_url", _local(settings.reports_port)),
    }


def _chosen(settings: Settings, name: str, otherwise: str) -> str:
    return str(getattr(settings, name)) if name in settings.model_fields_set else otherwise


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _grafana_environment(settings: Settings, path: str | None) -> dict[str, str]:
    """Grafana provisioned from this repository, for reading only, and silent towards its maker."""
    data = settings.data_dir.resolve() / "grafana"
    return {
        **GRAFANA_SILENT,
        **GRAFANA_READ_ONLY,
        **_grafana_start(Path(path) if path else GRAFANA_PACKAGE_HOME),
        "GF_PATHS_DATA": str(data),
        "GF_PATHS_LOGS": str(data / "log"),
        "GF_PATHS_PLUGINS": str(data / "plugins"),
        "GF_PATHS_PROVISIONING": str(ROOT / "grafana" / "provisioning"),
        "GF_LOG_MODE": "console",
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(settings.grafana_port),
        "GF_SERVER_ROOT_URL": public_addresses(settings)["GRAFANA_URL"],
        "GF_USERS_DEFAULT_THEME": "light",
        "SEXTANT_PROMETHEUS_URL": _local(settings.prometheus_port),
        "SEXTANT_DASHBOARDS": str(ROOT / "grafana" / "dashboards"),
    }


def _grafana_start(program: Path) -> dict[str, str]:
    """`grafana server`, or the older `grafana-server`; both want to know where their files are."""
    subcommand = "" if program.name == "grafana-server" else "server"
    homes = (home for home in _grafana_homes(program.resolve()) if (home / "conf" / "defaults.ini").is_file())
    return {"GRAFANA_SUBCOMMAND": subcommand, "GRAFANA_HOME": str(next(homes, GRAFANA_PACKAGE_HOME))}


def _grafana_homes(program: Path) -> Iterator[Path]:
    """Where an archive, a package manager's folder and a system package keep them."""
    yield program.parent.parent
    yield program.parent.parent / "share" / "grafana"
    yield GRAFANA_PACKAGE_HOME


def write_prometheus_files(settings: Settings, running: Constellation) -> None:
    """A copy of prometheus/ under data/ whose targets are the programs that run here."""
    folder = settings.data_dir / "prometheus"
    for replaced in ("rules", "targets"):  # a file that went away must not stay there
        shutil.rmtree(folder / replaced, ignore_errors=True)
    shutil.copytree(ROOT / "prometheus", folder, dirs_exist_ok=True)
    token = folder / "secrets" / "metrics-token"
    token.unlink(missing_ok=True)
    token.symlink_to(settings.metrics_token_path.resolve())  # where the services make it
    for file, jobs in SCRAPED.items():
        ports = {job: running.port(name) for job, name in jobs.items()}
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"job": job}} for job, port in ports.items() if port
        ]
        (folder / "targets" / f"{file}.json").write_text(json.dumps(targets, indent=2) + "\n")


def write_alertmanager_file(settings: Settings) -> None:
    """DATA_DIR/alertmanager/alertmanager.yml from the settings ALERT_*; raises Fatal when they are wrong."""
    write(configuration(settings, read_secrets(settings)), configuration_file(settings))
