"""A supervised process: restarts what ends unasked, gives up on what cannot run, leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sextant.infrastructure.settings import load_settings
from sextant.local import leftovers
from sextant.local import supervisor as supervisor_module
from sextant.local.leftovers import MARK, mark_of, running, stand_by
from sextant.local.supervisor import CRASHES, SupervisedProcess, supervise
from tests.processes import ROOT, Services, answers, free_port, wait_until


def make_process(
    folder: Path, command: str, said: list[str], ready: threading.Event | None = None
) -> SupervisedProcess:
    ready = ready or threading.Event()
    log = folder / "program.log"
    return SupervisedProcess("program", command, log, dict(os.environ), ready=ready, say=said.append)


def in_thread(process: SupervisedProcess) -> tuple[threading.Thread, list[bool]]:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(process.run()))
    thread.start()
    return thread, results


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


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


def test_a_program_that_cannot_start_is_given_up_with_its_last_words_and_its_output_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_SECONDS", 0.01)
    said: list[str] = []
    process = make_process(tmp_path, "sh -c 'echo no such luck; exit 3'", said)
    thread, results = in_thread(process)
    thread.join(60)
    assert results == [False]
    assert (tmp_path / "program.log").read_text() == "no such luck\n" * CRASHES
    assert said[-1] == "program ended 5 times (exit 3), giving up: no such luck"


def test_once_all_were_ready_a_program_is_started_again_for_ever_after_pauses_that_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(supervisor_module, "LONGEST_PAUSE_SECONDS", 0.05)
    said: list[str] = []
    ready = threading.Event()
    ready.set()
    process = make_process(tmp_path, f"sh -c 'test -e {tmp_path}/room && exec sleep 600; exit 3'", said, ready)
    thread, results = in_thread(process)
    pauses = lambda: [line.rpartition(" in ")[2] for line in said if "unasked (exit 3)" in line]  # noqa: E731
    wait_until(lambda: len(pauses()) > CRASHES + 1, "more failures than are forgiven while all start")
    assert pauses()[:5] == ["0.01 s", "0.02 s", "0.04 s", "0.05 s", "0.05 s"]
    (tmp_path / "room").touch()
    starts = len(said)
    wait_until(lambda: len(said) > starts and "started" in said[-1], "it to start again")
    process.stop()
    thread.join(20)
    assert results == [True]


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


@pytest.mark.parametrize("name", ["grafana", "reports"])
def test_a_program_that_need_not_be_there_is_given_up_alone_and_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "grafana"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("GRAFANA_PROGRAM", str(program))
    monkeypatch.setenv("REPORTS_PORT", "none")
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_SECONDS", 0.01)
    settings = load_settings(data_dir=tmp_path / "data", reports_port=8080)
    (settings.data_dir / "logs").mkdir(parents=True)
    stop = threading.Event()
    held: list[bool] = []
    thread = threading.Thread(target=lambda: held.append(supervise(settings, [name], stop, threading.Event())))
    thread.start()
    said: list[str] = []

    def gave_up() -> bool:
        said.append(capfd.readouterr().out)
        return f"{name} is given up; the others go on" in "".join(said)

    wait_until(gave_up, "the supervisor to give up")
    assert not stop.is_set()
    stop.set()
    thread.join(20)
    assert held == [True]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for folder in ("logs", "reports"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    bin_dir = Path(sys.executable).parent
    return os.environ | {
        "DATA_DIR": str(tmp_path / "data"),
        "REPORTS_PORT": str(free_port()),
        "PATH": f"{bin_dir}:{os.environ['PATH']}",
    }


def supervisor(environment: dict[str, str], **streams: Any) -> "subprocess.Popen[bytes]":
    """A real one, which runs the reports' server."""
    command = [sys.executable, "-m", "sextant.local.supervisor", "reports"]
    return subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True, **streams)


def test_the_programs_of_a_killed_supervisor_end(environment: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{environment['REPORTS_PORT']}/"
    with supervisor(environment) as process:
        wait_until(lambda: answers(url), "the reports to be served")
        process.kill()
    wait_until(lambda: not running(mark_of(Path(environment["DATA_DIR"]))), "its programs to end")
    assert not answers(url)


def test_a_program_that_neither_hears_sigterm_nor_stays_in_its_session_ends_with_the_supervisor(
    tmp_path: Path,
) -> None:
    mark = mark_of(tmp_path, 1)
    deaf = f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.1; done"
    process = subprocess.Popen(["/bin/sh", "-c", deaf], env={MARK: mark}, start_new_session=True)
    wait_until((tmp_path / "deaf").exists, "it to be deaf")
    watcher = stand_by(mark)
    assert watcher.stdin is not None
    watcher.stdin.close()
    assert process.wait(60) == -signal.SIGKILL
    assert watcher.wait(60) == 0


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_where_there_is_no_proc_they_are_found_by_ps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_environments", leftovers._environments_by_ps)
    with subprocess.Popen(["/bin/sleep", "60"], env={MARK: mark_of(tmp_path, 1)}) as process:
        try:
            wait_until(lambda: running(mark_of(tmp_path)) == [process.pid], "it to be found")
        finally:
            process.kill()


def test_a_log_that_cannot_be_written_is_said_once_and_stops_nothing(environment: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{environment['REPORTS_PORT']}/"
    mark = mark_of(Path(environment["DATA_DIR"]))
    Path(environment["DATA_DIR"], "logs", "reports.log").mkdir()  # no file can be opened there
    with Path("/dev/full").open("ab") as full:
        process = supervisor(environment, stdout=full, stderr=subprocess.PIPE)
    with process:
        for _ in range(2):
            wait_until(lambda: answers(url), "the reports to be served")
            (server,) = running(mark)
            os.kill(server, signal.SIGKILL)
            wait_until(lambda killed=server: running(mark) not in ([], [killed]), "it to come back")
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert said.decode() == "the supervisor's log cannot be written: No space left on device\n"
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["prediction", "monitoring"])
def test_workers_end_with_a_killed_master_even_while_they_are_busy(services: Services, name: str) -> None:
    services.mongo().start()
    program = services.prediction() if name == "prediction" else services.monitoring()
    program.start()
    workers = program.children()
    assert workers
    url = f"{getattr(services, f'{name}_url')}/healthz"
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers(url)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        os.kill(program.process.pid, signal.SIGKILL)
        program.process.wait(10)
        wait_until(lambda: not any(map(alive, workers)), "the workers to end", 10)
    finally:
        done.set()
        for thread in asking:
            thread.join()
    assert not answers(url)
