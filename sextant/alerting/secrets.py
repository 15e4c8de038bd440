"""Reads the secrets of receivers from the files that settings name; no message holds what a file holds."""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from sextant.contracts.errors import SettingsError
from sextant.infrastructure.settings import Settings

MASK = "<secret>"
URL = re.compile(r"https?://([^\s/@]+@)?[\w.-]+(:\d{1,5})?([/?](%[0-9A-Fa-f]{2}|[^\s%])*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the configuration holds and nobody else may read; None where a receiver is not set up."""

    discord_url: str | None = field(default=None, repr=False)
    slack_url: str | None = field(default=None, repr=False)
    webhook_url: str | None = field(default=None, repr=False)
    smtp_password: str | None = field(default=None, repr=False)


def read_secrets(settings: Settings) -> Secrets:
    """The secrets of all receivers that are set up; raises SettingsError, one line, for the first wrong one."""
    return Secrets(
        discord_url=_url("ALERT_DISCORD_WEBHOOK_FILE", settings.alert_discord_webhook_file),
        slack_url=_url("ALERT_SLACK_WEBHOOK_FILE", settings.alert_slack_webhook_file),
        webhook_url=_url("ALERT_WEBHOOK_FILE", settings.alert_webhook_file),
        smtp_password=_smtp_password(settings),
    )


def masked(secrets: Secrets) -> Secrets:
    """The same receivers, fit to be shown."""
    return Secrets(**{each.name: MASK if getattr(secrets, each.name) else None for each in fields(secrets)})


def _url(setting: str, path: Path | None) -> str | None:
    if path is None:
        return None
    text = _read(setting, path)
    if not (text.isascii() and URL.fullmatch(text)):
        raise SettingsError(f"{setting}: {path} must hold one http or https address and nothing else")
    return text


def _smtp_password(settings: Settings) -> str | None:
    path = settings.alert_smtp_password_file
    if bool(settings.alert_smtp_user) != (path is not None):
        raise SettingsError("ALERT_SMTP_USER and ALERT_SMTP_PASSWORD_FILE: set both or neither")
    return _read("ALERT_SMTP_PASSWORD_FILE", path) if path else None


def _read(setting: str, path: Path) -> str:
    """The file's one line."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{setting}: cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{setting}: {path} is not text in UTF-8") from None
    if not text:
        raise SettingsError(f"{setting}: {path} is empty")
    if not text.isprintable():
        raise SettingsError(f"{setting}: {path} must hold one line of printable characters")
    return text
