"""`make up` and `make down` as a user meets them, on free ports and a data folder of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from sextant.local.supervisor import lock_holder
from tests.conftest import publish_real_bundles
from tests.processes import ROOT, answers, free_port, wait_until

needs_the_monitoring_stack = pytest.mark.skipif(
    not all(map(shutil.which, ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter"))),
    reason="Prometheus, Alertmanager or the node exporter is not on the PATH",
)
OURS = ("PREDICTION", "RELAY", "MONITORING", "MONGODB", "PREFECT", "REPORTS")
PORTS = (*OURS, "PROMETHEUS", "ALERTMANAGER", "NODE_EXPORTER", "GRAFANA")


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
        [sys.executable, "-m", "sextant.local", command],
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

    found = local(environment, "status")
    assert found.returncode == 0
    assert "does not answer" not in found.stdout
    assert {line.split()[0] for line in found.stdout.splitlines()[1:]} >= {"prediction", "relay", "monitoring"}

    relay = f"http://127.0.0.1:{environment['RELAY_PORT']}/metrics"
    before = pid_in_log(environment, "relay")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_in_log(environment, "relay") != before and answers(relay), "the relay to come back")

    trip = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
    url = f"http://127.0.0.1:{environment['PREDICTION_PORT']}/predict"
    assert requests.post(url, json=trip, timeout=10).status_code == 200
    logs = {path.name for path in Path(environment["DATA_DIR"], "logs").iterdir()}
    assert {"prediction.log", "relay.log", "monitoring.log", "mongo.log", "prefect.log", "flows.log"} <= logs

    outbox = Path(environment["DATA_DIR"], "outbox")
    assert [path.name for path in (outbox, *outbox.iterdir()) if path.stat().st_mode & 0o077] == []

    assert local(environment, "down").stdout == "stopped\n"
    assert processes_of(environment) == []
    assert local(environment, "down").stdout == "nothing is running\n"
    assert (local(environment, "status").returncode, local(environment, "status").stdout) == (
        1,
        "nothing is running\n",
    )


def test_of_two_at_once_one_starts_it_and_when_the_supervisor_is_killed_everything_ends(environment):
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: local(environment, "up"), range(2)))
    refused, started = sorted(both, key=lambda result: result.returncode == 0)
    assert started.returncode == 0, started.stderr
    assert refused.returncode != 0
    assert refused.stderr.startswith("sextant: the constellation is already ")
    assert "does not answer" not in local(environment, "status").stdout

    supervisor = lock_holder(Path(environment["DATA_DIR"], "constellation.pid"))
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: processes_of(environment) == [], "everything to end")
    assert local(environment, "down").stdout == "nothing is running\n"


STAND_IN_FOR_GRAFANA = """#!{python}
import http.server, json, os, pathlib, sys
told = {{"arguments": sys.argv[1:], "environment": dict(os.environ)}}
pathlib.Path(os.environ["GF_PATHS_DATA"], "told.json").write_text(json.dumps(told))
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
address = os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"])
http.server.HTTPServer(address, Health).serve_forever()
"""


@pytest.fixture
def with_grafana(environment, tmp_path):
    """An installation as an archive unpacks it, with a program that answers for the real one."""
    program = tmp_path / "grafana home" / "bin" / "grafana"
    for folder in (program.parent, program.parent.parent / "conf"):
        folder.mkdir(parents=True)
    (program.parent.parent / "conf" / "defaults.ini").touch()
    program.write_text(STAND_IN_FOR_GRAFANA.format(python=sys.executable))
    program.chmod(0o755)
    return environment | {"PATH": f"{program.parent}:{environment['PATH']}", "REPORTS_URL": "https://reports.test"}


@needs_the_monitoring_stack
def test_prometheus_alertmanager_and_grafana_join_and_find_each_other(with_grafana):
    started = local(with_grafana, "up")
    assert started.returncode == 0, started.stderr
    prometheus = f"http://127.0.0.1:{with_grafana['PROMETHEUS_PORT']}/api/v1"
    for name in ("PROMETHEUS", "ALERTMANAGER", "GRAFANA"):
        assert f"http://127.0.0.1:{with_grafana[f'{name}_PORT']}/" in started.stdout
    assert "left out" not in started.stdout

    jobs = {"prediction", "relay", "monitoring", "prometheus", "alertmanager", "node"}
    wait_until(lambda: jobs_up(prometheus) == jobs, "every target to be up")
    wait_until(lambda: alertmanagers(prometheus), "Prometheus to find Alertmanager")
    assert alertmanagers(prometheus) == [f"http://127.0.0.1:{with_grafana['ALERTMANAGER_PORT']}/api/v2/alerts"]
    assert told_by(prometheus, "rules")["groups"]
    assert "reports_url: https://reports.test" in told_by(prometheus, "status/config")["yaml"]

    told = json.loads(Path(with_grafana["DATA_DIR"], "grafana", "told.json").read_text())
    home = Path(with_grafana["PATH"].partition(":")[0]).parent
    assert told["arguments"] == ["server", f"--homepath={home}", "--config=/dev/null"]
    assert told["environment"]["SEXTANT_PROMETHEUS_URL"] == prometheus.removesuffix("/api/v1")
    assert Path(told["environment"]["SEXTANT_DASHBOARDS"], "live_drift.json").is_file()
    assert Path(told["environment"]["GF_PATHS_PROVISIONING"], "datasources", "prometheus.yml").is_file()

    assert local(with_grafana, "down").returncode == 0
    assert processes_of(with_grafana) == []


def told_by(prometheus, question):
    return requests.get(f"{prometheus}/{question}", timeout=10).json()["data"]


def jobs_up(prometheus) -> set[str]:
    targets = told_by(prometheus, "targets")["activeTargets"]
    assert len({target["labels"]["job"] for target in targets}) == len(targets), "a target is scraped twice"
    return {target["labels"]["job"] for target in targets if target["health"] == "up"}


def alertmanagers(prometheus) -> list[str]:
    return [found["url"] for found in told_by(prometheus, "alertmanagers")["activeAlertmanagers"]]


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
