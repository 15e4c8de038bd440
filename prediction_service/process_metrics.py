"""CPU time, memory and files of all gunicorn processes together, under Prometheus' usual names."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

UTIME, CUTIME, RSS = 11, 13, 21  # fields of /proc/<pid>/stat after the program's name; see proc(5)
TICKS = os.sysconf("SC_CLK_TCK")
ATTEMPTS = 3


class ProcessesCollector(Collector):
    """Sums over the master and its workers, read at the scrape; silent where there is no /proc.

    prometheus_client has no process metrics when several workers share their metrics.
    """

    def __init__(self, master: int) -> None:
        self._master = master

    def collect(self) -> Iterator[Metric]:
        """The sums of this moment."""
        try:
            pids, cpu_seconds = self._consistent_cpu()
        except OSError:
            return
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time of all processes, those that have ended among them.", cpu_seconds
        )
        yield GaugeMetricFamily(
            "process_resident_memory_bytes",
            "Memory of all processes; what they share is counted for each.",
            sum(_stat(pid)[RSS] for pid in pids) * resource.getpagesize(),
        )
        yield GaugeMetricFamily(
            "process_open_fds", "Open files of all processes.", sum(_open_files(pid) for pid in pids)
        )
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield GaugeMetricFamily("process_max_fds", "Open files that all processes may have.", limit * len(pids))

    def _consistent_cpu(self) -> tuple[list[int], float]:
        """The processes, and their CPU seconds; a worker that ends meanwhile must not be lost or counted twice."""
        for _ in range(ATTEMPTS):
            before = _stat(self._master)
            pids = [self._master, *_children(self._master)]
            ticks = sum(sum(_stat(pid)[UTIME:CUTIME]) for pid in pids)
            ended = _stat(self._master)[CUTIME : CUTIME + 2]
            if ended == before[CUTIME : CUTIME + 2]:
                break
        return pids, (ticks + sum(ended)) / TICKS


def _stat(pid: int) -> list[int]:
    """The numbers of /proc/<pid>/stat; zeros for a process that has just ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return [0] * (RSS + 1)
    return [0, *map(int, fields[1 : RSS + 1])]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
