"""`python -m batch_flows.server`: Prefect's server, with a password and closed to pages of other origins."""

import os
import sys
from urllib.parse import urlsplit

from batch_flows.orchestration.settings import auth_string
from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings, child_environment, load_settings, set_environment_defaults

LOOPBACK = ("127.0.0.1", "localhost")


def allowed_origins(url: str) -> list[str]:
    """The origin of Prefect's own pages; the loopback has two names, and a person may type either."""
    parts = urlsplit(url)
    hosts = LOOPBACK if parts.hostname in LOOPBACK else (parts.hostname,)
    port = f":{parts.port}" if parts.port else ""
    return [f"{parts.scheme}://{host}{port}" for host in hosts]


def prepare_server_environment(settings: Settings) -> None:
    """What Prefect's server reads at its start, where the operator has not set it; raises Fatal."""
    set_environment_defaults(
        PREFECT_HOME=str((settings.data_dir / "prefect").resolve()),
        PREFECT_SERVER_API_AUTH_STRING=auth_string(settings),
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS=",".join(allowed_origins(settings.prefect_url)),
        PREFECT_SERVER_UI_API_URL=f"{settings.prefect_url.rstrip('/')}/api",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_UI_V2_ENABLED="false",  # these pages contact an analytics service all the same
        DO_NOT_TRACK="1",
    )


def main() -> None:
    """Become Prefect's server, or stop with one line."""
    try:
        settings = load_settings()
        prepare_server_environment(settings)
    except Fatal as error:
        sys.exit(f"prefect: {error}")
    address = ["--host", settings.bind_host, "--port", str(settings.prefect_port)]
    command = [sys.executable, "-m", "prefect", "server", "start", *address]
    os.execve(sys.executable, command, child_environment())


if __name__ == "__main__":
    main()
