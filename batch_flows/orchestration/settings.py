"""What Prefect's client reads from the environment while it is imported; so this module must not import it."""

from urllib.error import URLError
from urllib.request import urlopen

from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings, set_environment_defaults


def prepare_environment(settings: Settings) -> None:
    """Point Prefect at our server and folder, with telemetry off; call before importing it; raises Fatal."""
    home = (settings.data_dir / "prefect").resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fatal(f"cannot create the folder {home}: {error.strerror}") from None
    set_environment_defaults(
        PREFECT_API_URL=settings.prefect_api_url,
        PREFECT_HOME=str(home),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_EPHEMERAL_ENABLED="false",
        PREFECT_LOGGING_LEVEL=settings.log_level,
        DO_NOT_TRACK="1",
    )


def server_answers(api_url: str, *, timeout: float = 2.0) -> bool:
    """Whether a Prefect server is up at this address."""
    try:
        with urlopen(f"{api_url}/health", timeout=timeout) as answer:  # noqa: S310 - settings allow http(s) only
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False
