"""A supervised process: restarts what ends unasked, gives up on what cannot run, leaves nothing."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from sextant.infrastructure.settings import load_settings
from sextant.local.supervisor import CRASHES, SupervisedProcess, supervise
from tests.processes import wait_until


def make_process(folder: Path, command: str, said: list[str]) -> SupervisedProcess:
    return SupervisedProcess("program", command, folder / "program.log", dict(os.environ), say=said.append)


def in_thread(process: SupervisedProcess) -> tuple[threading.Thread, list[bool]]:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(process.run()))
    thread.start()
    return thread, results


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_a_program_that_is_killed_is_started_again(tmp_path):
    said: list[str] = []
    process = make_process(
        tmp_path, "sh -c 'echo $$ >> pids; exec sleep 600'".replace("pids", str(tmp_path / "pids")), said
    )
    thread, results = in_thread(process)
    pids = lambda: (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else []  # noqa: E731
    wait_until(lambda: len(pids()) == 1, "the first start")
    os.kill(int(pids()[0]), 9)
    wait_until(lambda: len(pids()) == 2, "the second start")
    process.stop()
    thread.join(20)
    assert results == [True]
    assert not alive(int(pids()[1]))
    assert any("ended unasked (exit -9)" in line for line in said)


def test_a_program_that_cannot_run_is_given_up_and_its_output_is_kept(tmp_path):
    said: list[str] = []
    process = make_process(tmp_path, "sh -c 'echo no such luck; exit 3'", said)
    thread, results = in_thread(process)
    thread.join(60)
    assert results == [False]
    assert (tmp_path / "program.log").read_text() == "no such luck\n" * CRASHES
    assert "exit 3" in said[-1]


def test_what_a_program_leaves_behind_is_ended_with_it(tmp_path):
    said: list[str] = []
    process = make_process(tmp_path, f"sh -c 'sleep 600 & echo $! > {tmp_path}/orphan; wait'", said)
    thread, _ = in_thread(process)
    orphan = tmp_path / "orphan"
    wait_until(lambda: orphan.exists() and orphan.read_text().strip(), "the orphan")
    process.stop()
    thread.join(20)
    pid = int(orphan.read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or not alive(pid), "the orphan to end")


def test_what_it_leaves_behind_is_ended_also_when_the_stop_comes_while_it_starts(tmp_path, monkeypatch):
    orphan = tmp_path / "orphan"
    process = make_process(tmp_path, f"sh -c 'sleep 600 & echo $! > {orphan}; wait'", [])
    start = subprocess.Popen

    def stopped_before_it_is_known(*arguments, **options):
        started = start(*arguments, **options)
        wait_until(lambda: orphan.exists() and orphan.read_text().strip(), "the orphan")
        process.stop()
        return started

    monkeypatch.setattr(subprocess, "Popen", stopped_before_it_is_known)
    assert process.run()
    pid = int(orphan.read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or not alive(pid), "the orphan to end")


def test_an_optional_program_that_cannot_run_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "grafana"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("GRAFANA_PROGRAM", str(program))
    settings = load_settings(data_dir=tmp_path / "data")
    (settings.data_dir / "logs").mkdir(parents=True)
    stop = threading.Event()
    held: list[bool] = []
    thread = threading.Thread(target=lambda: held.append(supervise(settings, ["grafana"], stop)))
    thread.start()
    said: list[str] = []

    def gave_up() -> bool:
        said.append(capsys.readouterr().out)
        return "giving up" in "".join(said)

    wait_until(gave_up, "the supervisor to give up")
    assert not stop.is_set()
    stop.set()
    thread.join(20)
    assert held == [True]
