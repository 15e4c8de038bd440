"""Grafana on one machine: provisioned from this repository, for reading only, and silent towards its maker."""

from collections.abc import Iterator
from pathlib import Path

from sextant.infrastructure.settings import Settings
from sextant.local.constellation import ROOT, all_parts

SILENT = {
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
}

# Everyone on the loopback may look; there is no administrator whose password all would know.
READ_ONLY = {
    "GF_AUTH_ANONYMOUS_ENABLED": "true",
    "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
    "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
}

PACKAGE_HOME = Path("/usr/share/grafana")


def grafana_environment(settings: Settings, url: str) -> dict[str, str]:
    """What the Procfile's line and Grafana itself read; `url` is where people open it."""
    data = settings.data_dir.resolve() / "grafana"
    program = next(part for part in all_parts(settings) if part.name == "grafana").program
    return {
        **SILENT,
        **READ_ONLY,
        **_start(Path(program) if program else PACKAGE_HOME),
        "GF_PATHS_DATA": str(data),
        "GF_PATHS_LOGS": str(data / "log"),
        "GF_PATHS_PLUGINS": str(data / "plugins"),
        "GF_PATHS_PROVISIONING": str(ROOT / "grafana" / "provisioning"),
        "GF_LOG_MODE": "console",
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(settings.grafana_port),
        "GF_SERVER_ROOT_URL": url,
        "GF_USERS_DEFAULT_THEME": "light",
        "SEXTANT_PROMETHEUS_URL": f"http://127.0.0.1:{settings.prometheus_port}",
        "SEXTANT_DASHBOARDS": str(ROOT / "grafana" / "dashboards"),
    }


def _start(program: Path) -> dict[str, str]:
    """`grafana server`, or the older `grafana-server`; both want to know where their files are."""
    subcommand = "" if program.name == "grafana-server" else "server"
    homes = (home for home in _homes(program.resolve()) if (home / "conf" / "defaults.ini").is_file())
    return {"GRAFANA_SUBCOMMAND": subcommand, "GRAFANA_HOME": str(next(homes, PACKAGE_HOME))}


def _homes(program: Path) -> Iterator[Path]:
    """Where an archive, a package manager's folder and a system package keep them."""
    yield program.parent.parent
    yield program.parent.parent / "share" / "grafana"
    yield PACKAGE_HOME
