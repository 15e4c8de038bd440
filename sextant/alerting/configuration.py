"""Alertmanager's whole configuration as a value: settings and secrets in, nothing read or written."""

from typing import Any

from sextant.alerting.receivers import team_receiver, webhook
from sextant.alerting.routing import inhibit_rules, route
from sextant.alerting.secrets import Secrets
from sextant.infrastructure.settings import Settings

NOBODY = "nobody"
TEAM = "team"
HEARTBEAT = "heartbeat"


def configuration(settings: Settings, secrets: Secrets) -> dict[str, Any]:
    """What alertmanager.yml holds; without a receiver alerts show in Alertmanager and nobody is told."""
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
