"""What Prefect's client reads from the environment while it is imported; so this module must not import it."""

import secrets
from base64 import b64encode
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from sextant.contracts.errors import Fatal
from sextant.infrastructure.secret_files import shared_secret
from sextant.infrastructure.settings import Settings, set_environment_defaults

USER = "sextant"


def auth_string(settings: Settings) -> str:
    """user:password of the Prefect server, as set, or else as made at the first start; raises Fatal."""
    if settings.prefect_api_auth_string is None:
        return shared_secret(settings.prefect_secret_file, f"{USER}:{secrets.token_urlsafe(24)}")
    chosen = settings.prefect_api_auth_string.get_secret_value()
    user, _, password = chosen.partition(":")
    if not (user and password):
        raise Fatal("PREFECT_API_AUTH_STRING must be user:password")
    return chosen


def prepare_environment(settings: Settings) -> None:
    """Point Prefect at our server and folder, with telemetry off; call before importing it; raises Fatal."""
    home = (settings.data_dir / "prefect").resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fatal(f"cannot create the folder {home}: {error.strerror}") from None
    set_environment_defaults(
        PREFECT_API_URL=settings.prefect_api_url,
        PREFECT_API_AUTH_STRING=auth_string(settings),
        PREFECT_HOME=str(home),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_EPHEMERAL_ENABLED="false",
        PREFECT_LOGGING_LEVEL=settings.log_level,
        DO_NOT_TRACK="1",
    )


def server_answers(settings: Settings, *, timeout: float = 2.0) -> bool:
    """Whether a Prefect server is up at our address; raises Fatal when it does not accept our password."""
    credentials = b64encode(auth_string(settings).encode()).decode()
    url = f"{settings.prefect_api_url}/version"  # unlike its health, this is not told to everyone
    try:
        request = Request(url, headers={"Authorization": f"Basic {credentials}"})  # noqa: S310 - http(s) only
        with urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return bool(answer.status == HTTPStatus.OK)
    except HTTPError as error:
        if error.code == HTTPStatus.UNAUTHORIZED:
            where = settings.prefect_secret_file if settings.prefect_api_auth_string is None else "the environment"
            raise Fatal(
                f"the Prefect server at {settings.prefect_api_url} does not accept the password in {where}; "
                "set PREFECT_API_AUTH_STRING to the server's user:password"
            ) from None
        return False
    except (URLError, OSError, ValueError):
        return False
