"""`make up` and `make down` as a user meets them, on free ports and a data folder of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.conftest import publish_real_bundles
from tests.processes import ROOT, answers, free_port, wait_until

PORTS = ("PREDICTION", "RELAY", "MONITORING", "MONGODB", "PREFECT", "REPORTS", "PROMETHEUS")


@pytest.fixture
def environment(tmp_path):
    ports = {f"{name}_PORT": str(free_port()) for name in PORTS}
    inherited = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    data_dir = tmp_path / "data"
    publish_real_bundles(data_dir / "models")
    variables = {**inherited, **ports, "DATA_DIR": str(data_dir)}
    yield variables
    local(variables, "down")


def local(environment, command):
    return subprocess.run(
        [sys.executable, "-m", "local", command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def processes_of(environment) -> list[str]:
    marker = f"DATA_DIR={environment['DATA_DIR']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def pid_in_log(environment, part: str) -> int:
    log = Path(environment["DATA_DIR"], "logs", "constellation.log").read_text()
    lines = [line for line in log.splitlines() if f" {part} started (process " in line]
    return int(lines[-1].rsplit(" ", 1)[1].rstrip(")"))


def test_up_runs_everything_a_killed_part_comes_back_and_down_leaves_nothing(environment):
    first = local(environment, "up")
    assert first.returncode == 0, first.stderr
    assert f"http://127.0.0.1:{environment['MONITORING_PORT']}/" in first.stdout

    second = local(environment, "up")
    assert second.returncode != 0
    assert "already running" in second.stderr
    assert "Traceback" not in second.stderr

    relay = f"http://127.0.0.1:{environment['RELAY_PORT']}/metrics"
    before = pid_in_log(environment, "relay")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_in_log(environment, "relay") != before and answers(relay), "the relay to come back")

    trip = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
    url = f"http://127.0.0.1:{environment['PREDICTION_PORT']}/predict"
    assert requests.post(url, json=trip, timeout=10).status_code == 200
    logs = {path.name for path in Path(environment["DATA_DIR"], "logs").iterdir()}
    assert {"prediction.log", "relay.log", "monitoring.log", "mongo.log", "prefect.log", "flows.log"} <= logs

    assert local(environment, "down").stdout == "stopped\n"
    assert processes_of(environment) == []
    assert local(environment, "down").stdout == "nothing is running\n"


def test_a_port_in_use_is_named_in_one_line(environment):
    import socket

    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", int(environment["RELAY_PORT"])))
        occupant.listen()
        result = local(environment, "up")
    assert result.returncode != 0
    assert (
        result.stderr.strip()
        .splitlines()[-1]
        .startswith(f"sextant: port in use: RELAY_PORT {environment['RELAY_PORT']}")
    )
    assert processes_of(environment) == []
