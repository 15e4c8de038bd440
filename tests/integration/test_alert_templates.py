"""Whatever a label holds, a notification stays within the limits of its receiver, and its links stay links."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from sextant.alerting.files import Secrets
from tests.alert_receivers import MailReceiver, WebhookReceiver
from tests.alertmanager import ANNOTATIONS, GRAPH, RUNBOOK, alert, alertmanagers, bodies, embed, needs_alertmanager
from tests.hostile import HOSTILE
from tests.processes import wait_until

pytestmark = needs_alertmanager

MARKUP = ("tags", "the end of a script or style", "attributes", "a script as an address")
VALUES = {
    "markup": " ".join(HOSTILE[name] for name in MARKUP),  # an Alertmanager for each would take its time
    **{name: value for name, value in HOSTILE.items() if name not in MARKUP},
}
hostile = pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)


@dataclass
class Told:
    """What each receiver got of the same alerts."""

    discord: dict[str, str]
    slack: dict[str, str]
    subject: str
    mail: dict[str, str]


class Ends:
    """An Alertmanager with a receiver of each kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tell(self, *alerts: dict[str, Any]) -> Told:
        with (
            WebhookReceiver().running() as discord,
            WebhookReceiver().running() as slack,
            MailReceiver().running() as mail,
            alertmanagers(self.folder) as start,
        ):
            secrets = Secrets(discord_url=discord.url, slack_url=slack.url)
            start(secrets, alert_email_to="a@example.com", alert_smtp=mail.address).post(*alerts)
            wait_until(lambda: discord.posts and slack.posts and mail.messages, "all to be told")
            message = mail.messages[0]
            return Told(embed(discord), slack.posts[0]["attachments"][0], message["Subject"], bodies(message))


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    return Ends(tmp_path)


class Page(HTMLParser):
    """The tags, links and text of an e-mail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: dict[str, str] = {}
        self.text = ""
        self._link = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._link = dict(attrs).get("href") or "" if tag == "a" else ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._link:
            self.links[data] = self._link
            self._link = ""


def full_of(value: str) -> list[dict[str, Any]]:
    """Four alerts whose every part holds the value."""
    link = "http://grafana.example.com/d/x?var-model="
    annotations = {**ANNOTATIONS, "summary": value, "description": value, "dashboard_url": link + value}
    names = ("feature", "segment", "check")
    return [
        alert(
            annotations=annotations,
            alertname=f"Drift{n}",
            model=value,
            version=value,
            **dict.fromkeys(names, value),
        )
        for n in range(4)
    ]


@hostile
def test_no_value_breaks_a_limit_or_a_link_or_becomes_formatting(value: str, ends: Ends) -> None:
    told = ends.tell(*full_of(value))
    title, text = told.discord["title"], told.discord["description"]
    assert len(title) <= 256
    assert len(text) <= 4096
    assert f"[Runbook]({RUNBOOK})" in text
    without_links = re.sub(r"\]\(http://(live|grafana|prometheus|127)\S+\)", "]", text)
    assert not re.search(r"]\(|\*\*b|\|\|", without_links)
    assert f"<{RUNBOOK}|Runbook>" in told.slack["text"]
    assert not re.search(r"<(?!http://(live|grafana|prometheus|127))", told.slack["text"] + told.slack["title"])
    assert not re.search(r"[\r\n]", told.subject + title)
    page = Page(told.mail["html"])
    assert page.tags <= {"html", "head", "meta", "body", "div", "h1", "b", "p", "a"}
    assert {"Runbook": RUNBOOK, "Graph": GRAPH}.items() <= page.links.items()
    assert page.links["Dashboard"].startswith("http://grafana.example.com/d/x?var-model=")


@pytest.mark.parametrize("value", ["taxi v2", 'a"b', "a+b", "模型"])
def test_the_link_to_a_silence_names_the_model_as_it_is(value: str, ends: Ends) -> None:
    told = ends.tell(alert(model=value))
    wanted = '{alertname="DatasetDrift",model="' + value.replace('"', '\\"') + '",severity="warning"}'
    links = [
        Page(told.mail["html"]).links["Silence"],
        re.search(r"\[Silence\]\((\S+)\)", told.discord["description"])[1],
        re.search(r"<([^ |]+)\|Silence>", told.slack["text"])[1],
        re.search(r"Silence: (\S+)", told.mail["plain"])[1],
    ]
    assert [unquote(link.split("filter=")[1]) for link in links] == [wanted] * 4


def test_three_alerts_with_long_texts_and_links_fit_and_keep_their_links(ends: Ends) -> None:
    annotations = {
        **ANNOTATIONS,
        "summary": "s " * 500,
        "description": "trip_distance " * 22 + "end of it " + "d " * 500,
    }
    labels = {"model": "m" * 40, "version": "v" * 40, "feature": "f" * 100, "segment": "g" * 100}
    alerts = [alert(annotations=annotations, alertname=f"{'A' * 60}{n}", **labels) for n in range(3)]
    told = ends.tell(*alerts)
    assert len(told.discord["title"]) <= 256
    assert len(told.discord["description"]) <= 4096
    for link in ("Runbook", "Dashboard", "Graph"):
        assert len(re.findall(rf"\[{link}\]\(\S+\)", told.discord["description"])) == 3
    assert told.discord["description"].count("end of it") == 3
    assert "[Silence](" in told.discord["description"]


def test_an_alert_without_annotations_or_model_is_told_all_the_same(ends: Ends) -> None:
    told = ends.tell(alert(annotations={}, alertname="Custom", severity="", model="", version="", job="node"))
    assert told.discord["title"] == told.subject == "[ALERT] Custom"
    assert told.discord["description"].startswith("**Custom** job node\n")
    assert "no value" not in told.discord["description"] + told.slack["text"] + told.mail["html"]
