"""How long POST /events takes while the monitoring service evaluates without pause, and while it does not.

python -m benchmarks.ingest [--seconds 10] [--rounds 5]

Each arm is a monitoring process of its own, without MongoDB, and gets one POST of 50 predictions and 25 targets
after the other at a steady pace over one connection. A time counts from when the POST was due, not from when it
could be sent.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import requests
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.serving import free_port, server
from benchmarks.synthetic_rows import synthetic_manifest, synthetic_rows
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import REFERENCE, Manifest, file_sha256, publish

REFERENCE_ROWS = 10_000
WINDOW_ROWS = 2_000
PER_POST = 50
POSTS_PER_SECOND = 20
SCRAPE_SECONDS = 0.5
TOKEN = "the-secret-of-the-benchmark"  # noqa: S105 - of tests alone
AT_REST = 0.4  # of one core; looking for new bundles without pause takes some of it
NEVER, WITHOUT_PAUSE = "1000000", "0.01"

ARMS = {
    "no evaluation": {"EVALUATE_EVERY": NEVER, "MULTIVARIATE_EVERY": NEVER},
    "evaluations": {"EVALUATE_EVERY": WITHOUT_PAUSE, "MULTIVARIATE_EVERY": NEVER},
    "and multivariate ones": {"EVALUATE_EVERY": WITHOUT_PAUSE, "MULTIVARIATE_EVERY": WITHOUT_PAUSE},
}
CALIBRATING = "and calibrations"


Wire = list[dict[str, Any]]


@dataclass
class Measured:
    """What one arm showed, in all its rounds."""

    post_seconds: list[float] = field(default_factory=list)
    scrapes: int = 0
    evaluations: dict[float, float] = field(default_factory=dict)
    """How long those took that a scrape saw, by when they began."""


def publish_synthetic(models_dir: Path) -> Manifest:
    """Publish a bundle with a reference and no model, which monitoring does not need."""
    staged = models_dir / "staged"
    staged.mkdir(parents=True)
    path = staged / REFERENCE
    synthetic_rows(REFERENCE_ROWS, np.random.default_rng(0)).to_parquet(path)
    return publish(models_dir, synthetic_manifest({REFERENCE: file_sha256(path)}), staged).manifest


def bodies(manifest: Manifest, count: int, seed: int) -> Iterator[bytes]:
    """Bodies of POST /events with traffic that did not drift, as if made at the pace of the stream."""
    start = datetime.now(UTC)
    for number in range(count):
        rows = synthetic_rows(PER_POST, np.random.default_rng((seed, number)))
        made_at = start + timedelta(seconds=number / POSTS_PER_SECOND)
        predictions, targets = events(manifest, rows, made_at, prefix=f"{seed}-{number:06}")
        yield orjson.dumps({"predictions": predictions, "targets": targets[::2]})


def events(manifest: Manifest, rows: pd.DataFrame, made_at: datetime, *, prefix: str) -> tuple[Wire, Wire]:
    """The predictions and the targets of these rows, as they are sent."""
    predictions, targets = [], []
    for place, row in enumerate(rows.to_dict("records")):
        identifier = f"{prefix}-{place:03}"
        features = {name: row[name] for name in manifest.feature_schema.names}
        made = Prediction(identifier, manifest.name, manifest.version, made_at, features, row["prediction"])
        predictions.append(made.to_dict())
        targets.append(Target(identifier, manifest.name, row["target"], made_at).to_dict())
    return predictions, targets


def stream(url: str, posts: list[bytes]) -> list[float]:
    """Send at the steady pace; seconds from when each POST was due to its answer."""
    seconds = []
    with requests.Session() as session:
        session.headers.update({"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"})
        began = time.perf_counter()
        for number, body in enumerate(posts):
            due = began + number / POSTS_PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            answer = session.post(f"{url}/events", data=body, timeout=60)
            seconds.append(time.perf_counter() - due)
            if answer.json()["accepted"] < PER_POST:
                raise RuntimeError(f"the events were not taken: {answer.text}")
    return seconds


def samples(url: str) -> dict[str, float]:
    """The process's metrics that have no more than one value for the model."""
    text = requests.get(f"{url}/metrics", timeout=60).text
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def scrape_until(stop: threading.Event, url: str, measured: Measured) -> None:
    """Note the newest evaluation twice a second, as an impatient Prometheus would."""
    while not stop.wait(SCRAPE_SECONDS):
        found = samples(url)
        measured.scrapes += 1
        if began := found.get("sextant_last_evaluation_timestamp_seconds"):
            measured.evaluations[began] = found["sextant_evaluation_duration_seconds"]


def measure(url: str, posts: list[bytes], measured: Measured) -> None:
    """Stream and scrape at the same time; adds to what was measured before."""
    stop = threading.Event()
    scraper = threading.Thread(target=scrape_until, args=(stop, url, measured))
    scraper.start()
    try:
        measured.post_seconds += stream(url, posts)
    finally:
        stop.set()
        scraper.join()


def wait_at_rest(url: str) -> None:
    """Wait until calibrations and all else that follows a start or a stream is done."""
    before = samples(url)["process_cpu_seconds_total"]
    for _ in range(180):
        time.sleep(1.0)
        now = samples(url)["process_cpu_seconds_total"]
        if now - before < AT_REST:
            return
        before = now
    sys.exit("the monitoring process does not come to rest")


def start_arm(stack: ExitStack, data_dir: Path, more: dict[str, str]) -> str:
    """Start a monitoring process; gives its URL."""
    port = free_port()
    environment = {
        "DATA_DIR": str(data_dir),
        "MONITORING_PORT": str(port),
        "EVENTS_TOKEN": TOKEN,
        "MONGODB_URI": f"mongodb://127.0.0.1:{free_port()}",
        "WINDOW_SIZE": str(WINDOW_ROWS),
        **more,
    }
    return stack.enter_context(server([sys.executable, "-m", "monitoring_service"], port, **environment))


def report(results: dict[str, Measured]) -> None:
    """Print one row for each arm."""
    heads = f"{'POSTs':>7}{'p50 ms':>8}{'p99':>8}{'max':>8}{'scrapes':>9}{'evaluations':>13}{'ms each':>9}"
    print(f"\n{'':<32}{heads}")
    for name, measured in results.items():
        p50, p99, most = (1_000 * float(q) for q in np.quantile(measured.post_seconds, [0.5, 0.99, 1.0]))
        row = f"{name:<32}{len(measured.post_seconds):>7}{p50:>8.1f}{p99:>8.1f}{most:>8.1f}{measured.scrapes:>9}"
        each = statistics.median(measured.evaluations.values()) * 1_000 if measured.evaluations else float("nan")
        print(f"{row}{len(measured.evaluations):>13}{each:>9.0f}")


def main() -> None:
    """Measure while the first process calibrates, then all arms in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results, urls = {name: Measured() for name in (*ARMS, CALIBRATING)}, {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sextant-bench-")))
        manifest, seeds = publish_synthetic(folder / "models"), itertools.count()

        def run(url: str, seconds: int, arm: str) -> None:
            measure(url, list(bodies(manifest, seconds * POSTS_PER_SECOND, next(seeds))), results[arm])
            wait_at_rest(url)

        for name, more in reversed(ARMS.items()):  # the busiest first: the others find its calibrations
            urls[name] = start_arm(stack, folder, more)
            if len(urls) == 1:
                run(urls[name], arguments.seconds * arguments.rounds, CALIBRATING)
            wait_at_rest(urls[name])
        for number, name in itertools.product(range(arguments.rounds), ARMS):
            run(urls[name], arguments.seconds, name)
            print(f"round {number + 1} of {arguments.rounds}: {name}", flush=True)
    report(results)


if __name__ == "__main__":
    main()
