"""The files of alerting: the receivers' secrets, read, and Alertmanager's configuration, written."""

import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sextant.contracts.errors import Fatal, SettingsError
from sextant.contracts.files import write_atomically
from sextant.infrastructure.settings import Settings

TEMPLATES = Path(__file__).resolve().parents[2] / "prometheus" / "alertmanager"
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


def configuration_file(settings: Settings) -> Path:
    """Where Alertmanager finds its configuration."""
    return settings.data_dir / "alertmanager" / "alertmanager.yml"


def as_text(configuration: dict[str, Any]) -> str:
    """JSON, which is YAML; Alertmanager's parser does not read JSON's surrogate pairs, hence no ASCII."""
    return json.dumps(configuration, indent=2, ensure_ascii=False) + "\n"


def write(configuration: dict[str, Any], path: Path, templates: Path = TEMPLATES) -> None:
    """Write the file (mode 0600) with its templates beside it; raises Fatal when there are none, or no disk."""
    found = sorted(templates.glob("*.tmpl"))
    if not found:
        raise Fatal(f"no message templates in {templates}: run this from a checkout of Sextant's repository")
    try:
        for template in found:
            write_atomically(path.parent / template.name, template.read_bytes())
        write_atomically(path, as_text(configuration), mode=0o600)
    except OSError as error:
        raise Fatal(f"could not write {path}: {error.strerror or error}") from None
