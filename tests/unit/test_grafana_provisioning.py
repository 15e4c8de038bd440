"""Grafana's provisioning: the data source and dashboards, and its own alert, which is off until it is wanted."""

import re
from typing import Any

import yaml

from tests import dashboards

GRAFANA = dashboards.ROOT / "grafana"
PROVISIONING = GRAFANA / "provisioning"
DISCORD = GRAFANA / "provisioning-discord" / "discord.yml"


def load(path: Any) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(path.read_text())
    assert data["apiVersion"] == 1
    return data


def test_the_provisioned_data_source_is_the_one_that_dashboards_choose_first() -> None:
    (source,) = load(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    assert (source["uid"], source["type"]) == ("prometheus", "prometheus")
    for board in dashboards.dashboards():
        (chosen,) = [variable for variable in board["templating"]["list"] if variable["name"] == "datasource"]
        assert chosen["current"]["value"] == source["uid"]


def test_dashboards_are_read_from_a_folder_that_whoever_starts_grafana_names() -> None:
    (provider,) = load(PROVISIONING / "dashboards" / "sextant.yml")["providers"]
    assert provider["options"]["path"] == "$SEXTANT_DASHBOARDS"
    assert provider["allowUiUpdates"] is False


def test_grafana_starts_without_any_variable_of_the_alert_because_nothing_provisioned_reads_one() -> None:
    files = list((PROVISIONING / "alerting").iterdir())
    assert files
    for file in files:
        assert file.suffix == ".yml"  # Grafana does not start with any other file there
        assert "$" not in file.read_text()
        assert "contactPoints" not in load(file)


def test_off_takes_back_all_that_the_alternative_makes() -> None:
    made, off = load(DISCORD), load(PROVISIONING / "alerting" / "off.yml")
    rules = {rule["uid"] for group in made["groups"] for rule in group["rules"]}
    receivers = {receiver["uid"] for point in made["contactPoints"] for receiver in point["receivers"]}
    assert {rule["uid"] for rule in off["deleteRules"]} == rules
    assert {point["uid"] for point in off["deleteContactPoints"]} == receivers


def test_the_alternative_sends_dataset_drift_to_discord_with_a_secret_from_outside() -> None:
    made = load(DISCORD)
    (point,) = made["contactPoints"]
    (receiver,) = point["receivers"]
    assert receiver["type"] == "discord"
    assert receiver["settings"]["url"] == "${SEXTANT_DISCORD_WEBHOOK}"
    (rule,) = made["groups"][0]["rules"]
    assert rule["notification_settings"]["receiver"] == point["name"]
    assert 'verdict="dataset_drift"' in rule["data"][0]["model"]["expr"]
    assert rule["condition"] in {query["refId"] for query in rule["data"]}


def test_the_alternative_asks_the_provisioned_data_source_and_leads_to_the_panel_and_the_runbook() -> None:
    (rule,) = load(DISCORD)["groups"][0]["rules"]
    assert rule["data"][0]["datasourceUid"] == "prometheus"
    uid, panel_id = rule["annotations"]["__dashboardUid__"], int(rule["annotations"]["__panelId__"])
    (board,) = [board for board in dashboards.dashboards() if board["uid"] == uid]
    (panel,) = [panel for panel in dashboards.panels(board) if panel["id"] == panel_id]
    assert panel["title"] == "Dataset drift"
    assert rule["title"] == "DatasetDrift"  # names the runbook in the message


def test_texts_that_grafana_expands_hold_no_dollar_but_of_variables() -> None:
    variables = {"${SEXTANT_DISCORD_WEBHOOK", "${LIVE_PAGE_URL", "$__file"}
    assert set(re.findall(r"\$.\w*", DISCORD.read_text())) <= variables


def test_the_compose_file_of_the_alternative_puts_it_in_the_place_of_off() -> None:
    service = yaml.safe_load((GRAFANA / "discord.compose.yml").read_text())["services"]["grafana"]
    mount, secret = service["volumes"]
    assert mount == "./grafana/provisioning-discord:/etc/grafana/provisioning/alerting:ro"
    inside = secret.rsplit(":", 2)[1]
    assert service["environment"]["SEXTANT_DISCORD_WEBHOOK"] == f"$$__file{{{inside}}}"
