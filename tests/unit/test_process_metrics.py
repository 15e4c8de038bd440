"""Process metrics of a master and its workers together, with real processes."""

import os
import subprocess
import sys

import pytest

from prediction_service.process_metrics import ProcessesCollector

BURN = """
import os, sys, time
while time.process_time() < 0.3:
    pass
print(flush=True)
sys.stdin.read()
"""
NAMES = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}


def read() -> dict[str, float]:
    collected = ProcessesCollector(os.getpid()).collect()
    return {sample.name: sample.value for metric in collected for sample in metric.samples}


@pytest.fixture
def worker():
    """A child process that has used 0.3 s of CPU time and waits."""
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process


def test_a_worker_is_counted_with_its_master(worker):
    together = read()
    assert set(together) == NAMES
    worker.communicate()
    alone = read()
    for name in NAMES - {"process_cpu_seconds_total"}:
        assert together[name] > alone[name] > 0


def test_cpu_time_of_a_worker_stays_counted_after_its_end(worker):
    while_it_lived = read()["process_cpu_seconds_total"]
    worker.communicate()
    assert read()["process_cpu_seconds_total"] >= while_it_lived >= 0.3


def test_a_master_that_is_gone_says_nothing(worker):
    worker.communicate()
    assert list(ProcessesCollector(worker.pid).collect()) == []
