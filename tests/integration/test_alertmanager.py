"""A real Alertmanager tells each receiver what it should hear, and none of them holds up another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sextant.alerting.files import Secrets
from tests.alert_receivers import MailReceiver, WebhookReceiver
from tests.alertmanager import (
    ANNOTATIONS,
    DASHBOARD,
    GRAPH,
    RUNBOOK,
    Start,
    alert,
    alertmanagers,
    bodies,
    embed,
    needs_alertmanager,
)
from tests.processes import wait_until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with alertmanagers(tmp_path) as start:
        yield start


@pytest.fixture
def hook() -> Iterator[WebhookReceiver]:
    with WebhookReceiver().running() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with MailReceiver(refuses=frozenset({"gone@example.com"})).running() as receiver:
        yield receiver


@needs_alertmanager
def test_discord_is_told_model_version_features_and_where_to_look_and_when_it_is_over(
    start: Start, hook: WebhookReceiver
) -> None:
    alertmanager = start(Secrets(discord_url=hook.url))
    alertmanager.post(alert())
    wait_until(lambda: hook.posts, "the notification")
    assert embed(hook)["title"] == "[WARNING] taxi v3 DatasetDrift"
    text = embed(hook)["description"]
    for link in (
        RUNBOOK,
        DASHBOARD,
        GRAPH,
        "http://live.example.com/",
        f"{alertmanager.url}/#/silences/new?filter=",
    ):
        assert f"]({link}" in text
    assert ANNOTATIONS["summary"] in text
    assert ANNOTATIONS["description"] in text
    alertmanager.post(alert(resolved=True))
    wait_until(lambda: len(hook.posts) > 1, "word that it is over")
    assert embed(hook, 1)["title"] == "[RESOLVED] taxi v3 DatasetDrift"
    assert ", until " in embed(hook, 1)["description"]


@needs_alertmanager
def test_an_e_mail_says_the_same_as_text_and_as_html_and_when_it_is_over(start: Start, mail: MailReceiver) -> None:
    alertmanager = start(alert_email_to="on-call@example.com", alert_smtp=mail.address)
    alertmanager.post(alert())
    wait_until(lambda: mail.messages, "the e-mail")
    assert mail.messages[0]["Subject"] == "[WARNING] taxi v3 DatasetDrift"
    said = bodies(mail.messages[0])
    assert set(said) == {"plain", "html"}
    for text in said.values():
        assert ANNOTATIONS["description"] in text
        assert RUNBOOK in text
        assert DASHBOARD in text
        assert f"{alertmanager.url}/#/silences/new?filter=%7Balertname%3D%22DatasetDrift%22%2C" in text
    alertmanager.post(alert(resolved=True))
    wait_until(lambda: len(mail.messages) > 1, "word that it is over")
    assert mail.messages[1]["Subject"] == "[RESOLVED] taxi v3 DatasetDrift"


@needs_alertmanager
def test_slack_is_told_with_links_and_a_colour(start: Start, hook: WebhookReceiver) -> None:
    start(Secrets(slack_url=hook.url)).post(alert(severity="page", feature="<!channel>"))
    wait_until(lambda: hook.posts, "the notification")
    (attachment,) = hook.posts[0]["attachments"]
    assert attachment["title"] == "[PAGE] taxi v3 DatasetDrift"
    assert attachment["title_link"] == DASHBOARD
    assert attachment["color"] == "danger"
    assert f"<{RUNBOOK}|Runbook>" in attachment["text"]
    assert "<!" not in attachment["text"]


@needs_alertmanager
@pytest.mark.parametrize(
    "bad", [{"hangs": True}, {"status": 500}, {"status": 400}], ids=["hangs", "is broken", "refuses"]
)
def test_a_receiver_that_fails_holds_up_no_other(
    bad: dict[str, Any], start: Start, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    with WebhookReceiver(**bad).running() as discord:
        secrets = Secrets(discord_url=discord.url, webhook_url=hook.url)
        alertmanager = start(
            secrets, alert_email_to="gone@example.com, on-call@example.com", alert_smtp=mail.address
        )
        alertmanager.post(alert())
        wait_until(lambda: discord.asked, "Discord to be asked")
        wait_until(lambda: mail.to("on-call@example.com") and hook.posts, "the others to be told", 15)
        assert not discord.posts
        assert not mail.to("gone@example.com")


@needs_alertmanager
def test_while_one_receiver_hangs_the_others_also_hear_that_it_is_over(start: Start, mail: MailReceiver) -> None:
    with WebhookReceiver(hangs=True).running() as discord:
        secrets = Secrets(discord_url=discord.url)
        alertmanager = start(secrets, alert_email_to="a@example.com", alert_smtp=mail.address)
        alertmanager.post(alert())
        wait_until(lambda: mail.messages, "the e-mail", 15)
        alertmanager.post(alert(resolved=True))
        wait_until(lambda: len(mail.messages) > 1, "the e-mail that it is over", 30)
        assert mail.messages[1]["Subject"].startswith("[RESOLVED]")


@needs_alertmanager
def test_a_receiver_that_comes_back_is_told_what_it_missed_and_the_others_are_not_told_again(
    start: Start, hook: WebhookReceiver
) -> None:
    with WebhookReceiver(status=500).running() as discord:
        alertmanager = start(Secrets(discord_url=discord.url, webhook_url=hook.url))
        alertmanager.post(alert())
        wait_until(lambda: discord.asked > 1, "Discord to be asked again")
        discord.status = 204
        wait_until(lambda: discord.posts, "Discord to be told")
        assert len(hook.posts) == 1


@needs_alertmanager
def test_without_a_receiver_alerts_show_and_nobody_is_told(start: Start) -> None:
    alertmanager = start()
    alertmanager.post(alert(), alert(alertname="ServiceDown", severity="page"))
    wait_until(lambda: len(alertmanager.alerts()) == 2, "the alerts to show")
    assert {each["receivers"][0]["name"] for each in alertmanager.alerts().values()} == {"nobody"}
    assert alertmanager.notifications() == 0


@needs_alertmanager
def test_the_drifted_features_of_a_model_are_one_notification(start: Start, hook: WebhookReceiver) -> None:
    drifted = [alert(alertname="FeatureDrift", feature=f"feature_{n}") for n in range(4)]
    start(Secrets(discord_url=hook.url)).post(*drifted, alert(model="iris", version="v1"))
    wait_until(lambda: len(hook.posts) == 2, "one notification for each model")
    titles = {embed(hook, n)["title"] for n in range(2)}
    assert titles == {"[WARNING] taxi v3 FeatureDrift (4)", "[WARNING] iris v1 DatasetDrift"}


@needs_alertmanager
def test_the_heartbeat_reaches_the_generic_webhook_and_no_person(start: Start, hook: WebhookReceiver) -> None:
    with WebhookReceiver().running() as discord:
        alertmanager = start(Secrets(discord_url=discord.url, webhook_url=hook.url))
        alertmanager.post(alert(alertname="Watchdog", severity="none", model=""))
        wait_until(lambda: hook.posts, "the heartbeat")
        alertmanager.post(alert())
        wait_until(lambda: discord.posts, "an alert")
        assert [embed(discord, n)["title"] for n in range(len(discord.posts))] == [
            "[WARNING] taxi v3 DatasetDrift"
        ]
        assert hook.posts[0]["receiver"] == "heartbeat"
