"""Alertmanager's configuration: off until a setting turns a receiver on, and no secret where it can be read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sextant.alerting.__main__ import main
from sextant.alerting.configuration import MODEL_ALERTS, TRAFFIC_ALERTS, Json, configuration, inhibit_rules
from sextant.alerting.files import MASK, Secrets, as_text, masked, read_secrets, write
from sextant.contracts.errors import Fatal, SettingsError
from sextant.infrastructure.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
ADDRESS = "https://hooks.example.com/services/T0/s3cret"
ALL = Secrets(discord_url=ADDRESS, slack_url=ADDRESS, webhook_url=ADDRESS, smtp_password="hunter2 ✓🔑")  # noqa: S106
FILES = {
    "ALERT_DISCORD_WEBHOOK_FILE": "discord_configs",
    "ALERT_SLACK_WEBHOOK_FILE": "slack_configs",
    "ALERT_WEBHOOK_FILE": "webhook_configs",
}
RETENTION_HOURS = 120  # how long Alertmanager remembers whom it told; a longer repeat_interval is cut to it


def hours(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([smhd])", duration).groups()
    return int(number) * {"s": 1 / 3600, "m": 1 / 60, "h": 1, "d": 24}[unit]


def rendered(secrets: Secrets | None = None, **settings: Any) -> Json:
    return configuration(Settings(**settings), secrets or Secrets())


def receivers(config: Json) -> dict[str, Json]:
    return {receiver["name"]: receiver for receiver in config["receivers"]}


def routes(config: Json) -> Iterator[Json]:
    """Each route with what it inherits."""
    root = {key: value for key, value in config["route"].items() if key != "routes"}
    yield root
    yield from ({**root, **child} for child in config["route"]["routes"])


def route_of(config: Json, severity: str) -> Json:
    """The route of a severity; the root is the warnings'."""
    found = [each for each in routes(config) if each.get("matchers") == [f'severity="{severity}"']]
    return found[0] if found else next(routes(config))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(ADDRESS + "\n")
    return path


def test_without_a_receiver_nobody_is_told() -> None:
    config = rendered()
    assert config["receivers"] == [{"name": "nobody"}]
    assert {each["receiver"] for each in routes(config)} == {"nobody"}


@pytest.mark.parametrize(("setting", "kind"), FILES.items())
def test_one_setting_turns_one_receiver_on(setting: str, kind: str, secret: Path) -> None:
    settings = load_settings(**{setting.lower(): secret})
    team = receivers(configuration(settings, read_secrets(settings)))["team"]
    assert set(team) == {"name", kind}
    assert ADDRESS in team[kind][0].values()


def test_each_address_gets_an_e_mail_of_its_own_so_that_a_refused_one_holds_up_no_other() -> None:
    team = receivers(rendered(alert_email_to="on-call@example.com, team@example.com"))["team"]
    assert [email["to"] for email in team["email_configs"]] == ["on-call@example.com", "team@example.com"]


def test_all_receivers_that_are_set_up_are_told_and_also_when_it_is_over() -> None:
    team = receivers(rendered(ALL, alert_email_to="on-call@example.com"))["team"]
    assert set(team) == {"name", "email_configs", *FILES.values()}
    told = [each for kind, configs in team.items() if kind != "name" for each in configs]
    assert all(each["send_resolved"] for each in told)


def test_a_mail_server_gets_a_login_only_when_one_is_set_and_tls_unless_switched_off() -> None:
    (plain,) = receivers(rendered(alert_email_to="a@example.com"))["team"]["email_configs"]
    assert plain["require_tls"] is True
    assert "auth_username" not in plain
    login = rendered(ALL, alert_email_to="a@example.com", alert_smtp_user="sextant", alert_smtp_tls=False)
    (email,) = receivers(login)["team"]["email_configs"]
    assert (email["auth_username"], email["auth_password"]) == ("sextant", ALL.smtp_password)
    assert email["require_tls"] is False


def test_the_heartbeat_goes_to_the_generic_webhook_or_to_nobody() -> None:
    assert route_of(rendered(Secrets(discord_url=ADDRESS)), "none")["receiver"] == "nobody"
    config = rendered(ALL)
    assert route_of(config, "none")["receiver"] == "heartbeat"
    assert set(receivers(config)["heartbeat"]) == {"name", "webhook_configs"}


def test_what_pages_is_told_sooner_and_repeated_more_often_than_what_warns_and_that_than_what_informs() -> None:
    config = rendered(ALL)
    for time in ("group_wait", "group_interval", "repeat_interval"):
        page, warning, info = (hours(route_of(config, s)[time]) for s in ("page", "warning", "info"))
        assert page < warning < info < RETENTION_HOURS


def test_a_model_is_one_notification_however_many_features_drifted() -> None:
    assert all("feature" not in each["group_by"] for each in routes(rendered(ALL)))
    assert route_of(rendered(ALL), "warning")["group_by"] == ["model"]
    assert route_of(rendered(ALL), "page")["group_by"] == ["alertname", "model"]


def test_nothing_silences_a_page_but_the_service_that_it_is_measured_by_being_down() -> None:
    pages = {rule["alert"] for rule in alerting_rules() if rule["labels"]["severity"] == "page"}
    for rule in inhibit_rules()[:-1]:
        targets = rule["target_matchers"][0].split('"')[1].split("|")
        assert pages & set(targets) <= {"PerformanceDegraded"}
        assert set(targets) <= {*MODEL_ALERTS, *TRAFFIC_ALERTS, "OutboxBacklog"}


def alerting_rules() -> list[Json]:
    files = [yaml.safe_load(path.read_text()) for path in (ROOT / "prometheus" / "rules").glob("*.yml")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule]


def test_the_docs_say_what_pages() -> None:
    paging = {rule["alert"] for rule in alerting_rules() if rule["labels"]["severity"] == "page"}
    (row,) = re.findall(r"^\| page \| ([\w, ]+) \|", (ROOT / "docs" / "alerting.md").read_text(), re.MULTILINE)
    assert set(row.split(", ")) == paging


def test_every_alert_that_the_routing_names_is_one_of_the_rules() -> None:
    alerts = {rule["alert"] for rule in alerting_rules()}
    matchers = [each for rule in inhibit_rules() for each in rule["source_matchers"] + rule["target_matchers"]]
    named = {name for each in matchers if each.startswith("alertname") for name in each.split('"')[1].split("|")}
    assert len(named) > 10
    assert named <= alerts


def test_the_file_reads_back_as_yaml_whatever_a_password_holds() -> None:
    config = rendered(ALL, alert_email_to="a@example.com", alert_smtp_user='"quoted" \\ {{ user }}')
    assert yaml.safe_load(as_text(config)) == config


@pytest.mark.parametrize("setting", FILES)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"s3cret",
        b"ftp://example.com/s3cret",
        b"https://",
        b"https://example.com/s3cret\nhttps://example.com/s3cret",
        b"https://example.com/s3 cret",
        b"https://example.com/s3cret%zz",
        b"https://ex\xc3\xa4mple.com/s3cret",
        b"\xff\xfes3cret",
        b"\xef\xbb\xbfhttps://example.com/s3cret",
    ],
)
def test_a_wrong_secret_stops_with_one_line_that_does_not_tell_it(
    setting: str, content: bytes, secret: Path
) -> None:
    secret.write_bytes(content)
    with pytest.raises(SettingsError) as error:
        read_secrets(load_settings(**{setting.lower(): secret}))
    assert str(error.value).startswith(f"{setting}: ")
    assert "\n" not in str(error.value)
    assert "s3" not in str(error.value).replace(str(secret), "")


def test_a_missing_secret_and_one_that_is_a_folder_are_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "absent", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=f"ALERT_WEBHOOK_FILE: cannot read .*: {reason}"):
            read_secrets(load_settings(alert_webhook_file=path))


def test_a_mail_servers_user_and_password_come_together(secret: Path) -> None:
    for half in ({"alert_smtp_user": "sextant"}, {"alert_smtp_password_file": secret}):
        with pytest.raises(SettingsError, match="set both or neither"):
            read_secrets(load_settings(**half))


@pytest.mark.parametrize("address", ["{{ .Status }}@example.com", "a@b@c", "a b@example.com", "<a@example.com>"])
def test_what_is_no_plain_e_mail_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="ALERT_EMAIL_TO"):
        load_settings(alert_email_to=address)


def test_secrets_do_not_show_when_they_are_printed_or_masked() -> None:
    config = configuration(Settings(alert_email_to="a@example.com"), masked(ALL))
    for text in (repr(ALL), as_text(config)):
        assert "s3cret" not in text
        assert "hunter2" not in text
    assert as_text(config).count(f'"{MASK}"') == 5
    assert masked(Secrets()) == Secrets()


def test_the_command_writes_for_its_owner_only_with_the_templates_beside_it(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ALERT_DISCORD_WEBHOOK_FILE", str(secret))
    assert main([]) == 0
    written = tmp_path / "alertmanager" / "alertmanager.yml"
    assert written.stat().st_mode & 0o777 == 0o600
    assert receivers(json.loads(written.read_text()))["team"]["discord_configs"][0]["webhook_url"] == ADDRESS
    assert {"sextant.tmpl", "discord.tmpl", "slack.tmpl", "email.tmpl"} < {
        p.name for p in written.parent.iterdir()
    }


def test_the_command_prints_with_secrets_masked(
    secret: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALERT_DISCORD_WEBHOOK_FILE", str(secret))
    assert main(["--output", "-"]) == 0
    shown = capsys.readouterr().out
    assert receivers(json.loads(shown))["team"]["discord_configs"][0]["webhook_url"] == MASK
    assert "s3cret" not in shown


def test_the_command_stops_with_one_line_and_leaves_what_was_there(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "alertmanager.yml"
    there.write_text("as it was")
    secret.write_text("")
    monkeypatch.setenv("ALERT_WEBHOOK_FILE", str(secret))
    assert main(["--output", str(there)]) == 2
    assert capsys.readouterr().err == f"alerting: ALERT_WEBHOOK_FILE: {secret} is empty\n"
    assert there.read_text() == "as it was"


def test_a_place_that_cannot_be_written_is_named_and_nothing_half_done_stays(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(Fatal, match=f"could not write {folder}: Is a directory"):
        write(rendered(), folder)
    assert not list(tmp_path.glob(".writing-*"))


def test_without_the_templates_of_a_checkout_nothing_is_written_and_one_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="from a checkout of Sextant's repository"):
        write(rendered(), tmp_path / "alertmanager.yml", templates=tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []
