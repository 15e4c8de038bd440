"""At more than twice its capacity the prediction service refuses with 503, keeps its memory, and stops when told.

python -m benchmarks.overload [--minutes 10] [--connections 400] [--models-dir data/models]

The capacity is what eight connections get. Then many more send one request after the other, without pause; a
client of its own asks for one prediction and for /healthz every second. Exits with 1 when the service fails in it.
"""

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import requests

from benchmarks.memory_use import resident
from benchmarks.serving import LUA, example_record, measure, started
from sextant.infrastructure.settings import load_settings

WARM_SECONDS = 60
MAY_GROW = 1.05
FINE = ("200", "503")
STOP_SECONDS = 25.0
"""The service's graceful_timeout of 20 s, and what it takes to end."""


@dataclass
class Seen:
    """What the client of its own saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"200": [], "503": [], "healthz": []})
    memory: list[tuple[float, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def ask(self, url: str, body: str) -> None:
        """One prediction, and the health check."""
        headers = {"Content-Type": "application/json"}
        began = time.perf_counter()
        try:
            answer = requests.post(f"{url}/predict", data=body, headers=headers, timeout=30)
            status = str(answer.status_code)
            if status == "503" and "Retry-After" not in answer.headers:
                self.wrong.append("a 503 without Retry-After")
        except requests.RequestException as error:
            status = type(error).__name__
        self.statuses[status] += 1
        self.seconds.setdefault(status, []).append(time.perf_counter() - began)
        began = time.perf_counter()
        if not requests.get(f"{url}/healthz", timeout=30).ok:
            self.wrong.append("/healthz is not alive")
        self.seconds["healthz"].append(time.perf_counter() - began)


def main() -> None:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--connections", type=int, default=400)
    parser.add_argument("--models-dir", type=Path, default=load_settings().models_dir)
    arguments = parser.parse_args()
    body = example_record(arguments.models_dir)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sextant-bench-")))
        url, process = stack.enter_context(started(folder / "data", Path.cwd(), arguments.models_dir))
        capacity = measure(url, body, 10, folder).per_second
        seconds = int(arguments.minutes * 60)
        wrk = _wrk(url, body, seconds, arguments.connections, folder)
        seen = _watch(url, body, process.pid, seconds)
        said = wrk.communicate()[0]
        again = _wrk(url, body, 10, arguments.connections, folder)
        time.sleep(3)
        began = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        stopped = time.perf_counter() - began
        again.communicate()
    offered = _number(r"(\d+) requests in", said) / seconds
    refused = _number(r"Non-2xx or 3xx responses: (\d+)", said) / seconds
    sys.exit(_report(Run(capacity, offered, refused, stopped, code), seen))


def _wrk(url: str, body: str, seconds: int, connections: int, folder: Path) -> "subprocess.Popen[str]":
    script = folder / "overload.lua"
    script.write_text(LUA % body)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
    return subprocess.Popen([*command, f"{url}/predict"], stdout=subprocess.PIPE, text=True)


def _watch(url: str, body: str, pid: int, seconds: int) -> Seen:
    seen, began = Seen(), time.monotonic()
    while (since := time.monotonic() - began) < seconds:
        seen.memory.append((since, resident(pid)))
        seen.ask(url, body)
        time.sleep(1)
    return seen


@dataclass(frozen=True)
class Run:
    """What was measured besides."""

    capacity: float
    offered: float
    refused: float
    stop_seconds: float
    exit_code: int


def _report(run: Run, seen: Seen) -> int:
    last = seen.memory[-1][0]
    warm = max(size for since, size in seen.memory if since <= WARM_SECONDS) / 2**20
    later = max(size for since, size in seen.memory if since >= min(WARM_SECONDS, last / 2)) / 2**20
    answered = run.offered - run.refused
    print(f"capacity {run.capacity:,.0f}/s, offered {run.offered:,.0f}/s ({run.offered / run.capacity:.1f} times)")
    print(f"answered {answered:,.0f}/s ({answered / run.capacity:.2f} of it), refused {run.refused:,.0f}/s")
    for name, times in seen.seconds.items():
        if times:
            median, longest = statistics.median(times), max(times)
            print(f"  {name:<8} {len(times):>5} asked, median {median:.3f} s, longest {longest:.3f} s")
    print(f"memory of all processes: {warm:,.0f} MiB in the first minute, at most {later:,.0f} MiB later")
    print(f"SIGTERM under load: ended with {run.exit_code} after {run.stop_seconds:.1f} s")
    wrong = [*seen.wrong]
    wrong += [f"{count} ended in {status}" for status, count in seen.statuses.items() if status not in FINE]
    wrong += ["less than twice the capacity was offered"] * (run.offered < 2 * run.capacity)
    wrong += ["memory grew"] * (later > warm * MAY_GROW)
    wrong += ["it did not stop in time"] * (run.stop_seconds > STOP_SECONDS or run.exit_code != 0)
    print("\n".join(wrong) or "kept to all of it")
    return int(bool(wrong))


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
