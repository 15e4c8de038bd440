"""Alertmanager's configuration as a value: receivers, routes, timing and inhibition rules."""

from typing import Any

from sextant.alerting.files import Secrets
from sextant.infrastructure.settings import Settings

Json = dict[str, Any]
NOBODY = "nobody"
TEAM = "team"
HEARTBEAT = "heartbeat"

MODEL_ALERTS = (
    "ConceptDrift",
    "DataQuality",
    "DatasetDrift",
    "EstimatedPerformanceDegraded",
    "EvaluationErrors",
    "EvaluationStale",
    "FairnessGap",
    "FeatureDrift",
    "LabelCoverageLow",
    "MultivariateDrift",
    "NotCalibrated",
    "PerformanceDegraded",
    "PredictionAnomaly",
    "SegmentDrift",
)
"""What the monitoring service says of a model: worth nothing while no new predictions reach it."""

TRAFFIC_ALERTS = ("NoTraffic", "TrafficAnomaly")
"""What a prediction service that is down explains. Failed and slow requests may be those of another instance."""

SILENCED_BY_SERVICE_DOWN = {
    "monitoring": MODEL_ALERTS,
    "prediction": MODEL_ALERTS + TRAFFIC_ALERTS,
    "relay": ("EvaluationStale", "OutboxBacklog"),
}
"""By job. ServiceDown names no model, so it silences these for all models."""


def configuration(settings: Settings, secrets: Secrets) -> Json:
    """The contents of alertmanager.yml; without a receiver, alerts show in Alertmanager and nobody is notified."""
    told = {TEAM: team_receiver(settings, secrets), HEARTBEAT: {"webhook_configs": webhook(secrets)}}
    team = TEAM if told[TEAM] else NOBODY
    heartbeat = HEARTBEAT if webhook(secrets) else NOBODY
    names = dict.fromkeys((team, heartbeat))
    return {
        "templates": ["*.tmpl"],
        "route": route(team=team, heartbeat=heartbeat),
        "inhibit_rules": inhibit_rules(),
        "receivers": [{"name": name, **told.get(name, {})} for name in names],
    }


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


def route(*, team: str, heartbeat: str) -> Json:
    """The tree of routes: `team` hears all but the heartbeat; what has no known severity counts as a warning."""
    pages = {"group_by": ["alertname", "model"], **_times(wait="10s", interval="1m", repeat="30m")}
    alive = {"receiver": heartbeat, "group_by": ["alertname"], **_times(wait="0s", interval="1m", repeat="5m")}
    return {
        "receiver": team,
        "group_by": ["model"],
        **_times(wait="1m", interval="10m", repeat="12h"),
        "routes": [
            {"matchers": ['severity="page"'], **pages},
            {"matchers": ['severity="info"'], **_times(wait="10m", interval="1h", repeat="3d")},
            {"matchers": ['severity="none"'], **alive},
        ],
    }


def inhibit_rules() -> list[Json]:
    """Which alert silences which others, and the labels that both must share."""
    same_version = ["model", "version"]
    return [
        *(_down(job, silenced) for job, silenced in SILENCED_BY_SERVICE_DOWN.items()),
        _silences("DatasetDrift", "FeatureDrift", equal=same_version),
        _silences("PerformanceDegraded", "EstimatedPerformanceDegraded", equal=same_version),
        _silences("OutboxWillFill", "OutboxBacklog", equal=[]),
        {
            "source_matchers": ['severity="page"'],
            "target_matchers": ['severity=~"warning|info"'],
            "equal": ["alertname", "model", "job"],
        },
    ]


def _times(*, wait: str, interval: str, repeat: str) -> Json:
    return {"group_wait": wait, "group_interval": interval, "repeat_interval": repeat}


def _down(job: str, silenced: tuple[str, ...]) -> Json:
    rule = _silences("ServiceDown", "|".join(silenced), equal=[])
    return {**rule, "source_matchers": [*rule["source_matchers"], f'job="{job}"']}


def _silences(source: str, target: str, *, equal: list[str]) -> Json:
    return {
        "source_matchers": [f'alertname="{source}"'],
        "target_matchers": [f'alertname=~"{target}"'],
        "equal": equal,
    }
