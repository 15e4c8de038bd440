"""The whole way of an alarm, live: drifted traffic, Prometheus, Alertmanager, and the people who are told.

One constellation serves all tests of this file, in their order: first nothing is wrong, then the data drift.
"""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from tests.alert_receivers import MailReceiver, WebhookReceiver
from tests.dashboards import panel_expressions
from tests.observability import needs_the_monitoring_stack
from tests.processes import ROOT, wait_until
from tests.watched import LONG, MODEL, VERSION, Watched, watched

pytestmark = [needs_the_monitoring_stack, pytest.mark.timeout(900)]

ONCALL = "oncall@example.org"

NEEDS_A_DAY = "compares with the past days, and the test lasts minutes"
NO_EXPORTER = "MongoDB's exporter runs where MongoDB does; here its stand-in speaks only the wire protocol"
NOTHING_WRONG = "counts what has not happened here"
EMPTY_WITH_REASON = {
    r"offset 1d|avg7d|stddev7d|zscore7d|model_day:|avg1d": NEEDS_A_DAY,
    r"\bmongodb_": NO_EXPORTER,
    r"sextant_evaluation_errors_total|sextant_rejected_values_total": NOTHING_WRONG,
    r'errors:rate5m\{version=""\}': NOTHING_WRONG,
    r"concept_drift|estimated_degradation": "not judged where rows lie outside of what the estimator has seen",
    r"deriv\(sextant_outbox_bytes": "says when a growing outbox is full, and this one does not grow",
}
"""Expressions and selectors that may find nothing here, by a pattern, and why."""


class Receivers(NamedTuple):
    """The people who are told."""

    discord: WebhookReceiver
    mail: MailReceiver


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    discord, mail = WebhookReceiver(), MailReceiver()
    with pytest.MonkeyPatch.context() as patch, discord.running(), mail.running():
        secret = tmp_path_factory.mktemp("secret") / "discord-webhook"
        secret.write_text(discord.url)
        patch.setenv("ALERT_DISCORD_WEBHOOK_FILE", str(secret))
        patch.setenv("ALERT_EMAIL_TO", ONCALL)
        patch.setenv("ALERT_SMTP", mail.address)
        patch.setenv("ALERT_SMTP_TLS", "false")
        yield Receivers(discord, mail)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, calibrations: Path, receivers: Receivers) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("live"), calibrations) as found:
        yield found


def test_undrifted_traffic_alerts_nobody(live: Watched, receivers: Receivers) -> None:
    live.wait_for_a_minute_of_verdicts()
    wait_until(lambda: live.holds("sextant_multivariate_drift_detected"), "the last calibration", LONG)
    assert live.observability.firing() == {"Watchdog"}
    assert (receivers.discord.posts, receivers.mail.messages) == ([], [])


def test_drift_reaches_discord_and_the_mailbox_with_features_and_links(
    live: Watched, receivers: Receivers
) -> None:
    live.traffic.distance_factor = 1.6
    wait_until(lambda: "DatasetDrift" in live.observability.firing(), "DatasetDrift to fire", LONG)
    wait_until(lambda: discord_of(receivers, "DatasetDrift"), "Discord to be told", LONG)
    wait_until(lambda: mail_of(receivers, "DatasetDrift"), "the e-mail to arrive", LONG)

    (embed,) = discord_of(receivers, "DatasetDrift")[0]["embeds"]
    message = mail_of(receivers, "DatasetDrift")[0]
    assert MODEL in embed["title"]
    assert MODEL in message["Subject"]
    for text in (embed["description"], text_of(message)):
        assert f"{MODEL} version {VERSION}" in text or f"{MODEL} {VERSION}" in text
        # The first message names what has stood long enough by then: on a slow machine one of the three columns.
        assert re.search(r"Most drifted: (trip_distance|prediction|target) \S+ \(threshold ", text), text
        links = [link for link in re.findall(r"https?://[^\s)>\"\]]+", text) if "127.0.0.1" in link]
        assert any(link.endswith("/docs/runbooks/DatasetDrift.md") for link in links), links
        assert any("/d/sextant-live-drift" in link for link in links), links
        for link in links:
            assert resolves(live, link), link
    wait_until(
        lambda: names_both(live.observability.description("DatasetDrift")), "both columns to be named", LONG
    )


def names_both(description: str) -> bool:
    return all(
        re.search(rf"\b{column} \S+ \(threshold ", description) for column in ("trip_distance", "prediction")
    )


def test_every_expression_of_every_panel_finds_data(live: Watched) -> None:
    wait_for_slow_rules(live)
    empty = [
        f"{uid}, {title}: {expression}"
        for uid, title, expression in panel_expressions(MODEL, VERSION)
        if not live.holds(expression) and not may_be_empty(expression)
    ]
    assert empty == []


def test_every_rule_evaluates_and_reads_only_series_that_exist(live: Watched) -> None:
    wait_for_slow_rules(live)
    rules = live.observability.rules()
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    empty = []
    for rule in rules:
        live.holds(rule["query"])  # an error fails the test
        # An alert finds nothing where nothing is wrong, so what it reads is asked for.
        asked = [rule["name"]] if rule["type"] == "recording" else selectors(rule["query"])
        empty += [f"{rule['name']}: {one}" for one in asked if not live.holds(one) and not may_be_empty(one)]
    assert empty == []


def discord_of(receivers: Receivers, alert: str) -> list[dict[str, Any]]:
    return [post for post in receivers.discord.posts if alert in str(post)]


def mail_of(receivers: Receivers, alert: str) -> list[EmailMessage]:
    return [message for message in receivers.mail.to(ONCALL) if alert in text_of(message)]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def resolves(live: Watched, link: str) -> bool:
    """Grafana is not here: that its dashboard exists is what its link needs."""
    parts = urlsplit(link)
    if parts.port == live.observability.settings.grafana_port:
        uid = parts.path.split("/")[2]
        return any(f'"uid": "{uid}"' in file.read_text() for file in dashboard_files())
    return requests.get(link, timeout=30).ok


def dashboard_files() -> Iterator[Path]:
    return (ROOT / "grafana" / "dashboards").glob("*.json")


def wait_for_slow_rules(live: Watched) -> None:
    """Some rules are evaluated once a minute, and a rate needs two samples."""
    slow = f'model:sextant_prediction_cost_per_thousand:rate1h{{model="{MODEL}"}} > 0'
    wait_until(lambda: live.holds(slow), "the rules that are evaluated once a minute", LONG)


def may_be_empty(expression: str) -> bool:
    return any(re.search(pattern, expression) for pattern in EMPTY_WITH_REASON)


def selectors(expression: str) -> list[str]:
    """The series that a rule's expression reads: names with a prefix that only metrics have."""
    metric = r"(?:sextant_\w+|node_\w+|process_\w+|alertmanager_\w+|prometheus_\w+|\w+:\w+:\w+|\bup\b)"
    return re.findall(rf"{metric}(?:\{{[^}}]*\}})?", expression)
