"""What the local constellation starts, leaves out and tells its parts."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings, load_settings
from sextant.local import control
from sextant.local.constellation import Constellation, Part, all_parts, commands, constellation
from sextant.local.environment import environment, public_addresses
from sextant.local.observability import write_prometheus_files
from sextant.local.supervise import supervise
from tests.processes import free_port, wait_until

OPTIONAL = ("prometheus", "alertmanager", "node-exporter", "grafana")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    names = [name for name in Settings.model_fields if name.endswith("_port")]
    return load_settings(data_dir=tmp_path / "data", **{name: free_port() for name in names})


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where programs are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    return path


def test_every_part_has_a_line_in_the_procfile(settings: Settings) -> None:
    assert set(commands()) == {part.name for part in all_parts(settings)}


def test_what_is_not_installed_is_left_out_and_named(settings: Settings, bin_dir: Path) -> None:
    there = constellation(settings)
    assert {part.name for part in all_parts(settings)} - {part.name for part in there.parts} == set(OPTIONAL)
    assert there.absent["grafana"] == "grafana is not installed here"


@pytest.mark.parametrize("program", ["prometheus-alertmanager", "alertmanager"])
def test_alertmanager_is_found_under_either_name(settings: Settings, bin_dir: Path, program: str) -> None:
    path = install(bin_dir / program)
    assert constellation(settings).port("alertmanager") == settings.alertmanager_port
    assert environment(settings)["ALERTMANAGER_PROGRAM"] == str(path)


def test_an_optional_part_whose_port_is_taken_is_left_out_and_named(settings: Settings, bin_dir: Path) -> None:
    install(bin_dir / "grafana")
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", settings.grafana_port))
        occupant.listen()
        there = control.startable(settings)
    assert there.port("grafana") is None
    assert there.absent["grafana"] == f"grafana finds GRAFANA_PORT {settings.grafana_port} in use"


def test_links_lead_to_this_machine_unless_the_operator_says_otherwise(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORTS_URL", "https://reports.test")
    chosen = public_addresses(load_settings(grafana_port=3001))
    assert chosen["REPORTS_URL"] == "https://reports.test"
    assert chosen["GRAFANA_URL"] == "http://127.0.0.1:3001"


@pytest.mark.parametrize("home", ["opt/grafana", "opt/grafana/share/grafana"])
def test_grafana_is_told_where_its_files_are(settings: Settings, bin_dir: Path, tmp_path: Path, home: str) -> None:
    program = install(tmp_path / "opt" / "grafana" / "bin" / "grafana")
    (bin_dir / "grafana").symlink_to(program)
    (tmp_path / home / "conf").mkdir(parents=True)
    (tmp_path / home / "conf" / "defaults.ini").touch()
    found = environment(settings)
    assert found["GRAFANA_HOME"] == str(tmp_path / home)
    assert found["GRAFANA_SUBCOMMAND"] == "server"


def test_the_older_grafana_server_takes_no_subcommand(settings: Settings, bin_dir: Path) -> None:
    install(bin_dir / "grafana-server")
    assert environment(settings)["GRAFANA_SUBCOMMAND"] == ""


def test_grafana_listens_on_the_loopback_only_and_knows_no_password(settings: Settings) -> None:
    told = environment(settings)
    assert told["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert told["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert told["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def test_prometheus_is_told_of_the_parts_that_run_and_of_no_other(settings: Settings) -> None:
    running = tuple(part for part in all_parts(settings) if part.name in {"relay", "alertmanager"})
    write_prometheus_files(settings, Constellation(running))
    targets = settings.data_dir / "prometheus" / "targets"
    assert json.loads((targets / "sextant.json").read_text()) == [
        {"targets": [f"127.0.0.1:{settings.relay_port}"], "labels": {"job": "relay"}}
    ]
    assert json.loads((targets / "alertmanager.json").read_text()) == [
        {"targets": [f"127.0.0.1:{settings.alertmanager_port}"], "labels": {"job": "alertmanager"}}
    ]


def test_a_rule_file_that_is_gone_is_gone_from_the_copy_too(settings: Settings) -> None:
    left_over = settings.data_dir / "prometheus" / "rules" / "old.yml"
    left_over.parent.mkdir(parents=True)
    left_over.touch()
    write_prometheus_files(settings, Constellation(()))
    assert not left_over.exists()
    assert list(left_over.parent.glob("*.yml"))


@contextmanager
def alive() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that lives for as long as the block."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_an_optional_part_that_is_slow_delays_nobody_and_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "OPTIONAL_SECONDS", 0.3)
    slow = Part("grafana", free_port(), ready_path="/", programs=("grafana",))
    with alive() as process:
        assert control.wait_until_ready(settings, process, Constellation((slow,)), print) == (slow,)


def test_a_part_that_must_be_there_is_waited_for_and_then_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "READY_SECONDS", 0.3)
    silent = Part("relay", free_port(), ready_path="/metrics")
    with alive() as process, pytest.raises(Fatal, match="not ready: relay"):
        control.wait_until_ready(settings, process, Constellation((silent,)), print)


def test_an_optional_part_that_cannot_run_stops_nothing_else(
    settings: Settings, bin_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFANA_PROGRAM", str(install(bin_dir / "grafana")))
    (settings.data_dir / "logs").mkdir(parents=True)
    stop = threading.Event()
    held: list[bool] = []
    thread = threading.Thread(target=lambda: held.append(supervise(settings, ["grafana"], stop)))
    thread.start()
    said: list[str] = []

    def gave_up() -> bool:
        said.append(capsys.readouterr().out)
        return "giving up" in "".join(said)

    wait_until(gave_up, "the keeper to give up")
    assert not stop.is_set()
    stop.set()
    thread.join(20)
    assert held == [True]
