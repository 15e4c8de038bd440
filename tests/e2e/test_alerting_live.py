"""The whole way of an alarm, live: drifted traffic, Prometheus, Alertmanager, and the people who are told.

One constellation serves all tests of this file, in their order: first nothing is wrong, then the data drift, then
services go away and come back.
"""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.alert_receivers import MailReceiver, WebhookReceiver
from tests.conftest import publish_real_bundles
from tests.dashboards import panel_expressions
from tests.observability import Observability, needs_the_monitoring_stack
from tests.processes import ROOT, Program, Services, wait_until
from tests.traffic import Traffic

pytestmark = [needs_the_monitoring_stack, pytest.mark.timeout(900)]

SETTINGS = {
    "WINDOW_SIZE": "500",
    "WINDOW_MIN_ROWS": "200",
    "EVALUATE_EVERY": "1",
    "MULTIVARIATE_EVERY": "5",
    "CPU_PRICE_PER_HOUR": "0.04",
}
ONCALL = "oncall@example.org"
LONG = 420.0  # seconds; the rules wait on purpose, the longest of them for 120 + 60
MODEL, VERSION = "taxi", "v1"

NEEDS_A_DAY = "compares with the past days, and the test lasts minutes"
NO_EXPORTER = "MongoDB's exporter runs where MongoDB does; here its stand-in speaks only the wire protocol"
NOTHING_WRONG = "counts what has not happened here"
EMPTY_WITH_REASON = {
    r"offset 1d|avg7d|stddev7d|zscore7d|model_day:|avg1d": NEEDS_A_DAY,
    r"\bmongodb_": NO_EXPORTER,
    r"sextant_evaluation_errors_total|sextant_rejected_values_total": NOTHING_WRONG,
    r'errors:rate5m\{version=""\}': NOTHING_WRONG,
    r"deriv\(sextant_outbox_bytes": "says when a growing outbox is full, and this one does not grow",
}
"""Expressions and selectors that may find nothing here, by a pattern, and why."""


class Watched:
    """The constellation, its traffic and its receivers."""

    def __init__(self, services: Services, observability: Observability, programs: dict[str, Program]) -> None:
        self.services = services
        self.observability = observability
        self.programs = programs
        self.discord = WebhookReceiver()
        self.mail = MailReceiver()
        self.traffic = Traffic(services.prediction_url)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    services = Services(tmp_path_factory.mktemp("watched"))
    publish_real_bundles(services.models_dir)
    discord, mail = WebhookReceiver(), MailReceiver()
    with pytest.MonkeyPatch.context() as patch, discord.running(), mail.running():
        secret = services.folder / "discord-webhook"
        secret.write_text(discord.url)
        patch.setenv("ALERT_DISCORD_WEBHOOK_FILE", str(secret))
        patch.setenv("ALERT_EMAIL_TO", ONCALL)
        patch.setenv("ALERT_SMTP", mail.address)
        patch.setenv("ALERT_SMTP_TLS", "false")
        observability = Observability(services)
        services.environment |= {**SETTINGS, "LIVE_PAGE_URL": services.monitoring_url}
        programs = {name: getattr(services, name)() for name in ("mongo", "monitoring", "prediction", "relay")}
        try:
            for program in programs.values():
                program.start(wait=False)
            for program in programs.values():
                program.wait_ready()
            observability.start()
            found = Watched(services, observability, programs)
            found.discord, found.mail = discord, mail
            with found.traffic:
                yield found
        finally:
            services.stop_all()


def holds(watched: Watched, expression: str) -> bool:
    return bool(watched.observability.query(expression))


def test_undrifted_traffic_alerts_nobody(watched: Watched) -> None:
    a_minute_of_verdicts = f'count_over_time(sextant_dataset_drift{{model="{MODEL}"}}[1m]) >= 11'
    wait_until(lambda: holds(watched, a_minute_of_verdicts), "a minute of calibrated evaluations", LONG)
    wait_until(lambda: holds(watched, "sextant_multivariate_drift_detected"), "the last calibration", LONG)
    assert watched.observability.firing() == {"Watchdog"}
    assert (watched.discord.posts, watched.mail.messages) == ([], [])


def test_drift_reaches_discord_and_the_mailbox_with_features_and_links(watched: Watched) -> None:
    watched.traffic.distance_factor = 1.6
    wait_until(lambda: "DatasetDrift" in watched.observability.firing(), "DatasetDrift to fire", LONG)
    wait_until(lambda: discord_of(watched, "DatasetDrift"), "Discord to be told", LONG)
    wait_until(lambda: mail_of(watched, "DatasetDrift"), "the e-mail to arrive", LONG)

    (embed,) = discord_of(watched, "DatasetDrift")[0]["embeds"]
    message = mail_of(watched, "DatasetDrift")[0]
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
            assert resolves(watched, link), link
    wait_until(
        lambda: names_both(watched.observability.description("DatasetDrift")), "both columns to be named", LONG
    )


def names_both(description: str) -> bool:
    return all(
        re.search(rf"\b{column} \S+ \(threshold ", description) for column in ("trip_distance", "prediction")
    )


def test_every_expression_of_every_panel_finds_data(watched: Watched) -> None:
    wait_for_slow_rules(watched)
    empty = [
        f"{uid}, {title}: {expression}"
        for uid, title, expression in panel_expressions(MODEL, VERSION)
        if not holds(watched, expression) and not may_be_empty(expression)
    ]
    assert empty == []


def test_every_rule_evaluates_and_reads_only_series_that_exist(watched: Watched) -> None:
    wait_for_slow_rules(watched)
    rules = watched.observability.rules()
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    empty = []
    for rule in rules:
        holds(watched, rule["query"])  # an error fails the test
        # An alert finds nothing where nothing is wrong, so what it reads is asked for.
        asked = [rule["name"]] if rule["type"] == "recording" else selectors(rule["query"])
        empty += [f"{rule['name']}: {one}" for one in asked if not holds(watched, one) and not may_be_empty(one)]
    assert empty == []


def test_without_monitoring_and_mongodb_the_alerts_fire_and_afterwards_resolve(watched: Watched) -> None:
    expected = {"EvaluationStale", "OutboxBacklog", "ServiceDown"}
    for name in ("monitoring", "mongo"):
        watched.programs[name].kill()
    wait_until(lambda: expected <= watched.observability.firing(), f"{expected} to fire", LONG)
    assert "ConservationBroken" not in watched.observability.firing()

    for name in ("mongo", "monitoring"):
        watched.programs[name].start(wait=False)
    wait_until(lambda: not expected & watched.observability.firing(), "all three to resolve", LONG)
    assert not {"ConservationBroken", "EventsDeadLettered"} & watched.observability.firing()


def discord_of(watched: Watched, alert: str) -> list[dict[str, Any]]:
    return [post for post in watched.discord.posts if alert in str(post)]


def mail_of(watched: Watched, alert: str) -> list[EmailMessage]:
    return [message for message in watched.mail.to(ONCALL) if alert in text_of(message)]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def resolves(watched: Watched, link: str) -> bool:
    """Grafana is not here: that its dashboard exists is what its link needs."""
    parts = urlsplit(link)
    if parts.port == watched.observability.settings.grafana_port:
        uid = parts.path.split("/")[2]
        return any(f'"uid": "{uid}"' in file.read_text() for file in dashboard_files())
    return requests.get(link, timeout=30).ok


def dashboard_files() -> Iterator[Path]:
    return (ROOT / "grafana" / "dashboards").glob("*.json")


def wait_for_slow_rules(watched: Watched) -> None:
    """Some rules are evaluated once a minute, and a rate needs two samples."""
    slow = f'model:sextant_prediction_cost_per_thousand:rate1h{{model="{MODEL}"}} > 0'
    wait_until(lambda: holds(watched, slow), "the rules that are evaluated once a minute", LONG)


def may_be_empty(expression: str) -> bool:
    return any(re.search(pattern, expression) for pattern in EMPTY_WITH_REASON)


def selectors(expression: str) -> list[str]:
    """The series that a rule's expression reads: names with a prefix that only metrics have."""
    metric = r"(?:sextant_\w+|node_\w+|process_\w+|alertmanager_\w+|prometheus_\w+|\w+:\w+:\w+|\bup\b)"
    return re.findall(rf"{metric}(?:\{{[^}}]*\}})?", expression)
