"""The secret that the relay and monitoring share, so that nobody else fills the windows."""

import re
import secrets

from sextant.contracts.errors import SettingsError
from sextant.infrastructure.secret_files import shared_secret
from sextant.infrastructure.settings import Settings

TOKEN = re.compile(r"[\x21-\x7e]{16,1000}")


def events_token(settings: Settings) -> str:
    """EVENTS_TOKEN, or what its file holds, which is made at the first start; raises Fatal."""
    if settings.events_token is not None:
        token, source = settings.events_token.get_secret_value(), "EVENTS_TOKEN"
    else:
        path = settings.events_token_path
        token, source = shared_secret(path, secrets.token_urlsafe(32)), str(path)
    if not TOKEN.fullmatch(token):
        raise SettingsError(f"{source} must hold 16 to 1,000 visible ASCII characters")
    return token
