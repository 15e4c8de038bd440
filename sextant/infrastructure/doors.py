"""Who may pass which door: what a route asks of a key, and how a key is given. It knows no web framework."""

import ipaddress
from base64 import b64decode
from secrets import token_urlsafe

import structlog

from sextant.contracts.errors import Fatal, Rejected, SettingsError
from sextant.infrastructure.keys import Key, KeyRing, digest_of
from sextant.infrastructure.secret_files import shared_secret
from sextant.infrastructure.settings import Settings

Door = frozenset[str] | None
"""The scopes of which a key needs one, besides `admin`, which opens every door; None: open to all."""

OPEN: Door = None
PREDICT: Door = frozenset({"predict"})
FEEDBACK: Door = frozenset({"feedback"})
READ: Door = frozenset({"read"})
METRICS: Door = frozenset({"read", "metrics"})
ANY_KEY: Door = frozenset({"predict", "feedback", "read"})
ADMIN: Door = frozenset({"admin"})

ALL_SCOPES = frozenset({"predict", "feedback", "read"})
"""Of the keys in API_KEYS."""

READABLE = 0o644
"""In compose Prometheus is another user; elsewhere the folder is closed to others."""

CHALLENGE = 'Basic realm="Sextant: any name, and your API key as the password", charset="UTF-8"'
log = structlog.get_logger(__name__)


class Refused(Rejected):
    """No valid key was given (401), or one that does not open this door (403)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def given_key(api_key: str | None, authorization: str | None) -> str:
    """The key in X-API-Key, in a bearer token, or as the password that a browser asked a person for."""
    if api_key:
        return api_key
    kind, _, value = (authorization or "").partition(" ")
    if kind.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[2]
        except ValueError:
            return ""
    return value if kind.lower() == "bearer" else ""


def admit(keys: KeyRing, door: frozenset[str], given: str) -> Key:
    """The key that opens a door which asks for one; raises Refused."""
    key = keys.find(given)
    if key is None:
        raise Refused(401, "send a valid key in X-API-Key" if given else "this needs a key; send it in X-API-Key")
    if not door & key.scopes and "admin" not in key.scopes:
        needed = " or ".join(sorted(door - {"metrics"}))
        raise Refused(403, f"the key {key.name!r} does not open this; it needs the scope {needed}")
    return key


def configured_keys(settings: Settings) -> list[Key]:
    """The keys in API_KEYS, whose holders have no names."""
    return [Key("API_KEYS", digest_of(key), ALL_SCOPES) for key in settings.api_keys]


def keys_of(settings: Settings, *, for_prometheus: bool = True) -> KeyRing:
    """The keys that the settings name, and Prometheus' own where there are metrics; raises SettingsError."""
    return KeyRing(
        configured_keys(settings),
        settings.keys_file,
        must_exist=settings.api_keys_file is not None,
        internal=_prometheus_key(settings) if for_prometheus else (),
    )


def _prometheus_key(settings: Settings) -> list[Key]:
    """The key of our own Prometheus, made at the first start; it opens /metrics alone."""
    try:
        token = shared_secret(settings.metrics_token_path, token_urlsafe(32), mode=READABLE)
    except Fatal as error:
        log.warning("Prometheus has no key of its own; where keys are asked for, it needs one", reason=str(error))
        return []
    return [Key("prometheus", digest_of(token), frozenset({"metrics"}))]


def require_closed_doors(settings: Settings, keys: KeyRing) -> None:
    """Raise SettingsError where others could use the service without a key, and nobody said that they may."""
    name, hosts = "PUBLISH_HOST", settings.publish_host
    if not hosts:
        name, hosts = "BIND_HOST", (settings.bind_host,)
    if not (keys.closed or settings.allow_open or all(map(_is_loopback, hosts))):
        raise SettingsError(
            f"{name} {', '.join(hosts)} lets others in, and no key is asked for: make one (python -m sextant.keys "
            "add NAME --scope SCOPE), set API_KEYS, or set ALLOW_OPEN=true where only friends can reach it"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
