"""How each kind of receiver is told: the part of the configuration that settings turn on."""

from typing import Any

from sextant.alerting.secrets import Secrets
from sextant.infrastructure.settings import Settings

Json = dict[str, Any]


def team_receiver(settings: Settings, secrets: Secrets) -> Json:
    """By key of Alertmanager's receiver, those that are set up; each is told on its own, whatever others do."""
    kinds = {
        "email_configs": [_email(settings, secrets, address) for address in settings.alert_email_to],
        "discord_configs": [_discord(secrets.discord_url)] if secrets.discord_url else [],
        "slack_configs": [_slack(secrets.slack_url)] if secrets.slack_url else [],
        "webhook_configs": webhook(secrets),
    }
    return {kind: configs for kind, configs in kinds.items() if configs}


def webhook(secrets: Secrets) -> list[Json]:
    """The generic webhook, if it is set up."""
    return [{"url": secrets.webhook_url, "send_resolved": True}] if secrets.webhook_url else []


def _email(settings: Settings, secrets: Secrets, address: str) -> Json:
    """One for each address: a mail server that refuses an address refuses the whole message."""
    login = {"auth_username": settings.alert_smtp_user, "auth_password": secrets.smtp_password}
    return {
        "to": address,
        "from": settings.alert_email_from,
        "smarthost": settings.alert_smtp,
        "require_tls": settings.alert_smtp_tls,
        **(login if secrets.smtp_password else {}),
        "headers": {"Subject": _template("title")},
        "html": _template("email.html"),
        "text": _template("email.text"),
        "send_resolved": True,
    }


def _discord(url: str) -> Json:
    message = {"title": _template("title"), "message": _template("discord")}
    return {"webhook_url": url, **message, "send_resolved": True}


def _slack(url: str) -> Json:
    return {
        "api_url": url,
        "title": _template("title"),
        "title_link": _template("dashboard"),
        "text": _template("slack"),
        "fallback": _template("title"),
        "color": _template("slack.color"),
        "send_resolved": True,
    }


def _template(name: str) -> str:
    return f'{{{{ template "sextant.{name}" . }}}}'
