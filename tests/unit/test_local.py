"""What the local constellation starts, leaves out and tells its programs."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings, load_settings
from sextant.local import control
from sextant.local.__main__ import down
from sextant.local.constellation import (
    Constellation,
    Program,
    all_programs,
    commands,
    constellation,
    require_checkout,
)
from sextant.local.environment import environment, public_addresses, write_prometheus_files
from sextant.local.leftovers import MARK, mark_of
from sextant.local.supervisor import lock_file, lock_holder
from tests.processes import free_port

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


def test_every_program_has_a_line_in_the_procfile(settings: Settings) -> None:
    assert set(commands()) == {program.name for program in all_programs(settings)}


def test_what_is_not_installed_is_left_out_and_named(settings: Settings, bin_dir: Path) -> None:
    found = constellation(settings)
    left_out = set(all_programs(settings)) - set(found.programs)
    assert left_out == {program for program in all_programs(settings) if program.executables}
    assert set(found.absent) == set(OPTIONAL)
    assert found.absent["grafana"] == "grafana is not installed here"


@pytest.mark.parametrize("program", ["prometheus-alertmanager", "alertmanager"])
def test_alertmanager_is_found_under_either_name(settings: Settings, bin_dir: Path, program: str) -> None:
    path = install(bin_dir / program)
    assert constellation(settings).port("alertmanager") == settings.alertmanager_port
    assert environment(settings)["ALERTMANAGER_PROGRAM"] == str(path)


def test_an_optional_program_whose_port_is_taken_is_left_out_and_named(settings: Settings, bin_dir: Path) -> None:
    install(bin_dir / "grafana")
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", settings.grafana_port))
        occupant.listen()
        found = control.startable(settings)
    assert found.port("grafana") is None
    assert found.absent["grafana"] == f"grafana finds GRAFANA_PORT {settings.grafana_port} in use"


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


def test_prometheus_is_told_of_the_programs_that_run_and_of_no_other(settings: Settings) -> None:
    running = tuple(program for program in all_programs(settings) if program.name in {"relay", "alertmanager"})
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


HOLDS_THE_LOCK_BUT_HAS_NOT_WRITTEN_ITS_ID = """
import os, signal, sys
from pathlib import Path
from sextant.local import supervisor
os.ftruncate = os.write = lambda *_: 0
assert supervisor.hold_lock(Path(sys.argv[1]))
print("locked", flush=True)
signal.pause()
"""


def test_down_stops_the_process_that_holds_the_lock_and_not_its_predecessor(settings: Settings) -> None:
    path = lock_file(settings)
    path.parent.mkdir()
    with alive() as stranger:
        path.write_text(str(stranger.pid))  # the id was a supervisor's once, and is another program's now
        command = [sys.executable, "-c", HOLDS_THE_LOCK_BUT_HAS_NOT_WRITTEN_ITS_ID, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"locked\n"
            assert lock_holder(path) == holder.pid
            assert control.stop(settings)
        assert stranger.poll() is None
    assert not control.stop(settings)


def test_down_ends_what_a_killed_supervisor_left_and_not_what_another_data_folder_has(settings: Settings) -> None:
    settings.data_dir.mkdir()
    other = settings.data_dir.with_name("data2")
    orphan = subprocess.Popen(["/bin/sleep", "60"], env={MARK: mark_of(settings.data_dir, 1)})
    stranger = subprocess.Popen(["/bin/sleep", "60"], env={MARK: mark_of(other, 1)})
    try:
        assert control.orphans(settings)
        with pytest.raises(Fatal, match="supervisor was killed still run; end them with: make down"):
            control.startable(settings)
        assert control.stop(settings)
        assert orphan.wait(10) == -signal.SIGTERM
        assert stranger.poll() is None
    finally:
        for process in (orphan, stranger):
            process.kill()
            process.wait()
    assert not control.orphans(settings)


def test_of_two_who_start_a_constellation_at_once_the_second_is_told_so_and_does_nothing(
    settings: Settings,
) -> None:
    with control.starting(settings):
        with pytest.raises(Fatal, match="is already starting"), control.starting(settings):
            pytest.fail("both start it")
    with control.starting(settings):
        pass


def test_down_names_a_port_that_a_stranger_holds(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", settings.prediction_port))
        occupant.listen()
        down(settings)
    said = capsys.readouterr().out
    assert said.startswith("nothing is running\n")
    assert f"PREDICTION_PORT {settings.prediction_port} is in use by another program" in said


def test_nothing_is_stopped_where_nothing_holds_the_lock(settings: Settings) -> None:
    assert not control.stop(settings)
    lock_file(settings).parent.mkdir()
    with alive() as stranger:
        lock_file(settings).write_text(str(stranger.pid))
        assert not control.stop(settings)
        assert stranger.poll() is None


def test_outside_of_a_checkout_one_sentence_says_so(tmp_path: Path) -> None:
    require_checkout()
    with pytest.raises(Fatal, match="from a checkout of Sextant's repository"):
        require_checkout(tmp_path)


@contextmanager
def alive() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that lives for as long as the block."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_an_optional_program_that_is_slow_delays_nobody_and_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "OPTIONAL_SECONDS", 0.3)
    slow = Program("grafana", free_port(), ready_path="/", executables=("grafana",))
    with alive() as process:
        assert control.wait_until_ready(settings, process, Constellation((slow,)), print) == (slow,)


def test_a_supervisor_whose_programs_are_all_ready_is_told_so(settings: Settings) -> None:
    with alive() as process:
        assert control.wait_until_ready(settings, process, Constellation(()), print) == ()
        assert process.wait(10) == -signal.SIGUSR1


def test_of_a_program_that_cannot_start_its_own_reason_is_given(settings: Settings) -> None:
    logs = settings.data_dir / "logs"
    logs.mkdir(parents=True)
    (logs / "constellation.log").write_text(
        "2026-01-01T00:00:00Z relay ended 5 times (exit 1), giving up: of an earlier start\n"
        "2026-01-02T00:00:00Z prediction ended 5 times (exit 1), giving up: DEFAULT_MODEL: no such model\n"
        "2026-01-02T00:00:01Z stopped\n"
    )
    silent = Program("relay", free_port(), ready_path="/metrics")
    with subprocess.Popen(["/bin/false"]) as process:
        process.wait(10)
        with pytest.raises(Fatal, match=r"^prediction ended 5 times .*: DEFAULT_MODEL: no such model$"):
            control.wait_until_ready(settings, process, Constellation((silent,)), print)


def test_a_program_that_must_be_there_is_waited_for_and_then_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "READY_SECONDS", 0.3)
    silent = Program("relay", free_port(), ready_path="/metrics")
    with alive() as process, pytest.raises(Fatal, match="not ready: relay"):
        control.wait_until_ready(settings, process, Constellation((silent,)), print)
