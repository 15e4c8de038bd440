"""Processes that are killed, frozen and restarted."""

import signal
from collections.abc import Iterator
from functools import partial
from random import Random

from chaos.faults.kinds import Fault
from chaos.programs import Program, send
from chaos.site import Site

NAMES = {"prediction": "gunicorn's master", "relay": "the relay", "monitoring": "monitoring", "mongo": "MongoDB"}


def _faults() -> Iterator[Fault]:
    yield Fault("kill -9 of a prediction worker", "processes", _kill_worker)
    yield Fault("freeze of a prediction worker", "processes", _freeze_worker)
    for program, name in NAMES.items():
        yield Fault(f"kill -9 of {name}", "processes", partial(_kill, program))
        yield Fault(f"freeze of {name}", "processes", partial(_freeze, program))
        yield Fault(f"restart of {name}", "processes", partial(_restart, program))


def _kill_worker(site: Site, random: Random) -> bool:
    workers = site.programs["prediction"].workers()
    return bool(workers) and send(random.choice(workers), signal.SIGKILL)


def _freeze_worker(site: Site, random: Random) -> bool:
    workers = site.programs["prediction"].workers()
    if not workers or not send(worker := random.choice(workers), signal.SIGSTOP):
        return False
    site.pause(random.uniform(1, 6))
    send(worker, signal.SIGCONT)
    return True


def _kill(name: str, site: Site, _: Random) -> bool:
    program = site.programs[name]
    if not program.is_running:
        return False
    program.signal(signal.SIGKILL)
    return True


def _freeze(name: str, site: Site, random: Random) -> bool:
    program = site.programs[name]
    if not program.is_running:
        return False
    frozen = _all_of(program)
    for pid in frozen:
        send(pid, signal.SIGSTOP)
    site.pause(random.uniform(1, 6))
    for pid in frozen:
        send(pid, signal.SIGCONT)
    return True


def _all_of(program: Program) -> list[int]:
    """The process and, where it only keeps one worker, that worker."""
    workers = program.workers()
    return [program.pid, *(workers if len(workers) == 1 else [])]


def _restart(name: str, site: Site, _: Random) -> bool:
    if not site.programs[name].is_running:
        return False
    site.programs[name].restart()
    return True


PROCESS_FAULTS = tuple(_faults())
