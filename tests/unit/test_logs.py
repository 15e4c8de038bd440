"""What docs/logs.md says of the logs is what the services write, and the shippers' configuration fits it."""

import ast
import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sextant.infrastructure.logs import Output

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "logs.md").read_text()
SERVICES = ("prediction_service", "monitoring_service", "batch_flows", "sextant/infrastructure")
FIELDS = {"event", "service", "level", "timestamp", "exception"}
VALUES = {
    "features",
    "context",
    "record",
    "records",
    "prediction",
    "predictions",
    "target",
    "targets",
    "body",
    "row",
}


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "logs" / name).read_text())
    return found


def log_calls() -> list[ast.Call]:
    """Every `log.info(…)` and the like of the services."""
    files = [path for package in SERVICES for path in (ROOT / package).rglob("*.py")]
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func).startswith("log.")]


def a_line(service: str) -> dict[str, Any]:
    script = f"""
import structlog
from sextant.infrastructure.logs import configure_logging
configure_logging({service!r}, "INFO")
try:
    1 / 0
except ZeroDivisionError as error:
    structlog.get_logger().error("request failed", exc_info=error)
"""
    written = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True).stderr
    line: dict[str, Any] = json.loads(written)
    return line


def test_a_line_has_the_fields_that_the_page_lists() -> None:
    line = a_line("relay")
    assert set(line) == FIELDS
    assert line["service"] == "relay"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", line["timestamp"])
    for field in FIELDS | {"model", "version", "prediction_id", "count", "sink", "seq", "reason"}:
        assert f"`{field}`" in PAGE


def test_no_line_is_given_a_record() -> None:
    calls = log_calls()
    assert len(calls) > 20
    given = {keyword.arg for call in calls for keyword in call.keywords}
    assert not given & VALUES


@pytest.mark.parametrize("event", ["predicted", "dead letter", "delivery failed", "skipped ahead"])
def test_the_events_that_the_page_asks_for_are_written(event: str) -> None:
    events = {call.args[0].value for call in log_calls() if call.args and isinstance(call.args[0], ast.Constant)}
    assert event in events
    assert event in PAGE


def test_vector_reads_what_docker_labels_and_labels_only_what_has_few_values() -> None:
    vector = load("vector.yaml")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    label = compose["x-service"]["logging"]["options"]["labels"]
    assert f'"{label}"' in vector["transforms"]["lines"]["source"]
    assert set(vector["sinks"]["loki"]["labels"]) == {"container", "level"}
    assert vector["sinks"]["loki"]["inputs"] == ["lines"]
    assert vector["transforms"]["lines"]["inputs"] == ["files"]


def test_the_three_that_meet_at_loki_agree_on_its_address() -> None:
    address = f"http://loki:{load('loki.yml')['server']['http_listen_port']}"
    assert load("vector.yaml")["sinks"]["loki"]["endpoint"] == address
    assert load("grafana-datasource.yml")["datasources"][0]["url"] == address


def test_loki_deletes_what_is_older_than_the_operator_said() -> None:
    loki = load("loki.yml")
    assert loki["limits_config"]["retention_period"] == "${LOG_RETENTION}"
    assert loki["compactor"]["retention_enabled"] is True
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["loki"]
    assert "-config.expand-env=true" in service["command"]
    assert "LOG_RETENTION" in service["environment"]


def test_filebeat_takes_its_time_from_the_line() -> None:
    filebeat = load("filebeat.yml")
    (stamp,) = [step["timestamp"] for step in filebeat["processors"] if "timestamp" in step]
    assert stamp["field"] == "sextant.timestamp"
    (decode,) = [step["decode_json_fields"] for step in filebeat["processors"] if "decode_json_fields" in step]
    assert decode["target"] == "sextant"


class FullDisk:
    """A log file on a disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = b""

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: self.room]
        self.room -= len(part)
        self.written += part
        return len(part)


def test_a_line_for_which_the_disk_has_no_room_is_lost_and_counted_and_fails_nobody() -> None:
    disk = FullDisk(room=8)
    output = Output(disk)  # type: ignore[arg-type]
    lost = []
    for line in (b"first\n", b"second\n", b"third\n"):
        output.write(line)
        lost.append(output.lost)
    assert lost == [0, 1, 2]
    disk.room = 100
    output.write(b"fourth\n")
    assert output.lost == 0
    assert disk.written == b"first\nse\nfourth\n"


def test_the_next_line_says_how_many_were_lost() -> None:
    script = """
import os
import sys
import structlog
from sextant.infrastructure import logs

class Disk:
    full = True
    def write(self, data):
        if self.full:
            raise OSError("no room")
        return os.write(1, data)

class Stderr:
    buffer = Disk()
    def flush(self):
        pass

sys.stderr = Stderr()
logs.configure_logging("relay", "INFO")
log = structlog.get_logger()
log.info("lost")
import logging
logging.getLogger("library").warning("lost too")
Disk.full = False
log.info("written")
log.info("and on")
"""
    written = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True).stdout
    assert [json.loads(line).get("lost_lines") for line in written.splitlines()] == [2, None]
