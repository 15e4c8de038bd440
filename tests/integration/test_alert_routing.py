"""What Alertmanager's own programs make of the rendered configuration: accepted, routed, silenced."""

import json
import re
import shlex
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests

from sextant.alerting.configuration import configuration
from sextant.alerting.files import Secrets, write
from sextant.infrastructure.settings import Settings
from tests.alert_receivers import WebhookReceiver
from tests.alertmanager import Alertmanager, alert, alertmanagers, embed, needs_alertmanager, needs_amtool
from tests.processes import ROOT, wait_until

DOCS = (ROOT / "docs" / "alerting.md").read_text()

DOWN = {"alertname": "ServiceDown", "severity": "page", "model": "", "version": ""}
OTHER_PART = {**DOWN, "severity": "warning", "job": "alertmanager"}
INHIBITED = [
    ({**DOWN, "job": "monitoring"}, {"alertname": "DatasetDrift"}, True),
    ({**DOWN, "job": "prediction"}, {"alertname": "PerformanceDegraded"}, True),
    ({**DOWN, "job": "prediction"}, {"alertname": "HighErrorRatio"}, False),  # of another instance
    ({**DOWN, "job": "prediction"}, {"alertname": "TrafficAnomaly"}, True),
    ({**DOWN, "job": "monitoring"}, {"alertname": "HighErrorRatio"}, False),
    ({**DOWN, "job": "relay"}, {"alertname": "EvaluationStale"}, True),
    ({**DOWN, "job": "prometheus"}, {"alertname": "DatasetDrift"}, False),
    ({**DOWN, "job": "prediction"}, {"alertname": "ConservationBroken"}, False),
    ({"alertname": "DatasetDrift", "model": "taxi"}, {"alertname": "FeatureDrift", "model": "taxi"}, True),
    ({"alertname": "DatasetDrift", "model": "taxi"}, {"alertname": "FeatureDrift", "model": "iris"}, False),
    ({"alertname": "DatasetDrift", "version": "v2"}, {"alertname": "FeatureDrift", "version": "v3"}, False),
    ({"alertname": "PerformanceDegraded"}, {"alertname": "EstimatedPerformanceDegraded"}, True),
    ({"alertname": "OutboxWillFill", "model": ""}, {"alertname": "OutboxBacklog", "sink": "mongodb"}, True),
    ({"alertname": "Custom", "severity": "page"}, {"alertname": "Custom", "feature": "a"}, True),
    ({"alertname": "Custom", "severity": "page"}, {"alertname": "Custom", "model": "iris"}, False),
    ({**DOWN, "job": "relay"}, OTHER_PART, False),
]


def is_silenced(alertmanager: Alertmanager, target: dict[str, Any]) -> bool:
    found = requests.get(f"{alertmanager.url}/api/v2/alerts", timeout=10).json()
    labels = {key: value for key, value in target["labels"].items() if value}
    (state,) = [each["status"]["state"] for each in found if each["labels"] == labels]
    return state == "suppressed"


@needs_alertmanager
def test_one_alert_silences_another_only_where_it_makes_it_needless(tmp_path: Path) -> None:
    def silences(number: int, source: dict[str, Any], target: dict[str, Any]) -> bool:
        # Alerts are taken in one after the other: when the last one works, the first one was taken in too.
        last = [alert(alertname=f"Last{number}", severity=severity) for severity in ("page", "warning")]
        alertmanager.post(source, target, *last)
        wait_until(lambda: is_silenced(alertmanager, last[1]), "the alerts to be taken in")
        silenced = is_silenced(alertmanager, target)
        alertmanager.post(*[{**each, "endsAt": each["startsAt"]} for each in (source, target)])
        return silenced

    with alertmanagers(tmp_path) as start:
        alertmanager = start()
        for number, (source, target, expected) in enumerate(INHIBITED):
            assert silences(number, alert(**source), alert(**target)) == expected, f"{source} and {target}"


COMBINATIONS = [
    dict(zip(("email", "discord", "slack", "webhook"), on, strict=True)) for on in product((0, 1), repeat=4)
]


@needs_amtool
@pytest.mark.parametrize("on", COMBINATIONS, ids=lambda on: "+".join(k for k, v in on.items() if v) or "nothing")
def test_amtool_accepts_every_combination_of_receivers(on: dict[str, int], tmp_path: Path) -> None:
    urls = {f"{kind}_url": "https://example.com/x" for kind in ("discord", "slack", "webhook") if on[kind]}
    secrets = Secrets(**urls, smtp_password='"quoted" \\ 🔑' if on["email"] else None)
    email = {"alert_email_to": "a@example.com,b@example.com", "alert_smtp_user": "sextant"} if on["email"] else {}
    write(configuration(Settings(**email), secrets), tmp_path / "alertmanager.yml")
    command = ["amtool", "check-config", str(tmp_path / "alertmanager.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def receiver_of(path: Path, *labels: str) -> str:
    command = ["amtool", "config", "routes", "test", f"--config.file={path}", *labels]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@needs_amtool
@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("page", "team"), ("warning", "team"), ("info", "team"), ("none", "heartbeat"), ("unheard-of", "team")],
)
def test_amtool_routes_each_severity(severity: str, receiver: str, tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    write(configuration(Settings(), Secrets(webhook_url="https://example.com/x")), path)
    assert receiver_of(path, f"severity={severity}", "model=taxi") == receiver


@needs_amtool
def test_the_documented_route_takes_one_model_to_another_team(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    config = configuration(Settings(), Secrets(webhook_url="https://example.com/x"))
    config["route"]["routes"].insert(0, json.loads(re.search(r"```json\n(.*?)```", DOCS, re.DOTALL)[1]))
    config["receivers"].append({"name": "diamonds"})
    write(config, path)
    assert receiver_of(path, "severity=page", "model=diamonds") == "diamonds"
    assert receiver_of(path, "severity=page", "model=taxi") == "team"


@needs_alertmanager
@needs_amtool
def test_the_documented_commands_try_a_receiver_and_silence_an_alert(tmp_path: Path) -> None:
    with WebhookReceiver().running() as hook, alertmanagers(tmp_path) as start:
        alertmanager = start(Secrets(discord_url=hook.url))
        commands = re.findall(
            r"^amtool .*$", DOCS.replace("http://127.0.0.1:9093", alertmanager.url), re.MULTILINE
        )
        assert [command.split()[1] for command in commands] == ["silence", "alert"]
        for command in commands:
            subprocess.run(shlex.split(command), capture_output=True, check=True)
        wait_until(lambda: hook.posts, "the test alert")
        assert embed(hook)["title"] == "[PAGE] taxi test PerformanceDegraded"
        alertmanager.post(alert())
        assert alertmanager.alerts()["DatasetDrift"]["status"]["silencedBy"]
