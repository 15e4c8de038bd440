"""What a drift report over a million predictions costs, beside the tutorials' way of making one.

python -m benchmarks.batch_million [--rows 1000000] [--fewer 100000] [--limit-seconds 900] [--limit-gb 12]

Loads nx-27017 in a temporary folder, then starts one process for each arm and reads its peak memory from the
kernel. The tutorials' way is `list(find())` into a DataFrame and Evidently's whole report of it; it is stopped at
the limits. Its find has no time-out, since nx-27017 finds everything before it answers.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.batch_arms import BATCH, READING, Numbers, documents
from benchmarks.ingest import publish_synthetic
from benchmarks.serving import free_port
from sextant.infrastructure.settings import child_environment

GB = 1 << 30


def load(uri: str, rows: int) -> None:
    """Insert a day of predictions, evenly spread, and the targets of half of them."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    database, began = client.get_database("sextant"), time.perf_counter()
    database.predictions.create_index([("model", 1), ("created_at", 1)])
    for batch in range(rows // BATCH):
        predictions, targets = documents(batch, rows)
        database.predictions.insert_many(predictions, ordered=False)
        database.targets.insert_many(targets, ordered=False)
        if (batch + 1) % 10 == 0:
            done, seconds = (batch + 1) * BATCH, time.perf_counter() - began
            print(f"  loaded {done:,} of {rows:,} predictions in {seconds:.0f} s", flush=True)
    client.close()


@dataclass(frozen=True, slots=True)
class Limits:
    """When an arm is stopped."""

    seconds: float
    gigabytes: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """An arm's numbers, or why there are none."""

    numbers: Numbers
    stopped: str | None = None


def measured(name: str, rows: int, of: int, environment: Mapping[str, str], limits: Limits) -> Outcome:
    """Run an arm in a process of its own; one that passes a limit is stopped."""
    print(f"  {name} over {rows:,} rows ...", flush=True)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.batch_arms", name, str(rows), str(of)]
    process = subprocess.Popen(command, env=child_environment(**environment), stdout=subprocess.PIPE, text=True)
    stopped: list[str] = []
    watch = threading.Thread(target=stop_beyond, args=(process, limits, stopped))
    watch.start()
    said, _ = process.communicate()
    watch.join()
    if stopped:
        return Outcome({}, stopped[0])
    if process.returncode:
        sys.exit(f"{name} over {rows:,} rows failed")
    return Outcome(json.loads(said.splitlines()[-1]))


def stop_beyond(process: "subprocess.Popen[str]", limits: Limits, stopped: list[str]) -> None:
    """Kill the process when it passes a limit, and note which; return when it has ended."""
    began = time.perf_counter()
    while process.poll() is None:
        seconds = time.perf_counter() - began
        if seconds > limits.seconds:
            stopped.append(f"stopped after {seconds:.0f} s at {resident(process.pid) / GB:.2f} GB")
        elif resident(process.pid) > limits.gigabytes * GB:
            stopped.append(f"stopped at {limits.gigabytes:g} GB after {seconds:.0f} s")
        if stopped:
            process.kill()
            process.wait()
        time.sleep(0.1)


def resident(pid: int) -> int:
    """Bytes that the process holds in memory now; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0)


@contextmanager
def mongodb(folder: Path) -> Iterator[str]:
    """nx-27017 with its data in the folder until the block ends; gives its URI once it answers."""
    port = free_port()
    nx = [str(Path(sys.executable).with_name("nx-27017")), "--host", "127.0.0.1", "--port", str(port)]
    nx += ["--data-dir", str(folder), "--pid-file", str(folder / "nx.pid"), "--log-file", str(folder / "nx.log")]
    process = subprocess.Popen(nx, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    uri = f"mongodb://127.0.0.1:{port}"
    try:
        with MongoClient[dict[str, Any]](uri) as client:
            client.admin.command("ping")
        yield uri
    finally:
        process.kill()  # now and then it does not hear SIGTERM, and its folder goes anyway
        process.wait()


def report(results: Mapping[str, Sequence[Outcome]]) -> None:
    """Print a row for each run: time, the part of it that is the cursor, peak memory."""
    print(f"\n{'':<34}{'seconds':>9}{'cursor':>9}{'without':>9}{'peak GB':>9}")
    for name, outcomes in results.items():
        for outcome in outcomes:
            print(f"{name:<34}{outcome.stopped or in_columns(outcome.numbers)}")


def in_columns(numbers: Numbers) -> str:
    """Seconds in all, of the cursor and without it, and the peak."""
    cursor = numbers.get(READING, 0.0)
    without = numbers["seconds"] - cursor
    return f"{numbers['seconds']:>9.1f}{cursor:>9.1f}{without:>9.1f}{numbers['peak'] / GB:>9.2f}"


def without_cursor(outcomes: Sequence[Outcome]) -> float:
    """The median over the runs."""
    return statistics.median(outcome.numbers["seconds"] - outcome.numbers[READING] for outcome in outcomes)


def report_scores(sampled: Numbers, whole: Numbers) -> None:
    """Print each column's score in the report's sample and over all rows."""
    print(f"\n{'drift score':<34}{'sample':>9}{'all rows':>9}{'apart':>9}")
    for name in sampled:
        score, expected = sampled[name], whole[name]
        print(f"{name:<34}{score:>9.4f}{expected:>9.4f}{abs(score - expected):>9.4f}")


def last_scores(data_dir: Path) -> Numbers:
    """The drift scores in the summary of the report of the longest window."""
    summaries = [json.loads(path.read_text()) for path in (data_dir / "reports").glob("drift-report_*.json")]
    longest = max(summaries, key=lambda summary: summary["metrics"]["predictions_in_window"])
    verdicts = longest["metrics"]["verdicts"]
    return {verdict["column"]: verdict["value"] for verdict in verdicts if verdict["name"] == "drift"}


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Load, run every arm and print the tables."""
    rows, fewer = arguments.rows, arguments.fewer
    limits = Limits(arguments.limit_seconds, arguments.limit_gb)
    publish_synthetic(folder / "data" / "models")
    (folder / "mongo").mkdir()
    with mongodb(folder / "mongo") as uri:
        load(uri, rows)
        environment = {
            "DATA_DIR": str(folder / "data"),
            "MONGODB_URI": uri,
            "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        }

        def run(name: str, count: int) -> Outcome:
            return measured(name, count, rows, environment, limits)

        run("flow", fewer)  # calibrates; the runs that count find it kept
        few, many = [], []
        for _ in range(arguments.rounds):
            few.append(run("flow", fewer))
            many.append(run("flow", rows))
        whole, sampling, tutorial = (run(name, rows) for name in ("scores", "sampling", "tutorial"))
    names = {f"drift-report, {fewer:,} rows": few, f"drift-report, {rows:,} rows": many}
    report({**names, f"list(find()), {rows:,} rows": [tutorial]})
    print(
        f"\nWithout the cursor, {rows:,} rows take {without_cursor(many) / without_cursor(few):.2f} x {fewer:,}."
    )
    print(
        f"The sampling of {rows:,} rows, which the cursor's time holds, takes {sampling.numbers['seconds']:.1f} s."
    )
    report_scores(last_scores(folder / "data"), whole.numbers)


def main() -> None:
    """Measure everything in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="a multiple of 10,000")
    parser.add_argument("--fewer", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit-seconds", type=float, default=900.0)
    parser.add_argument("--limit-gb", type=float, default=12.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sextant-bench-") as folder:
        compare(arguments, Path(folder))


if __name__ == "__main__":
    main()
