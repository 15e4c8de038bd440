"""Throughput of durable /predict against an empty Flask route that echoes JSON, interleaved in one run.

python -m benchmarks.serving [--seconds 8] [--rounds 5] [--models-dir data/models] [--before CHECKOUT]
"""

import argparse
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from flask import Flask, Response, jsonify, request

from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import child_environment, load_settings

CONNECTIONS = 8
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
"""


@dataclass(frozen=True, slots=True)
class Round:
    """One measured stretch of one arm."""

    per_second: float
    p99_ms: float
    errors: int


def echo_app() -> Flask:
    """The yardstick: a Flask route with no work in it, that takes JSON and answers it."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 4 << 20

    @app.post("/predict")
    def echo() -> Response:
        return jsonify(request.get_json())

    return app


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def server(command: list[str], port: int, **environment: str) -> Iterator[str]:
    """Run a server until the block ends; gives its URL once it answers."""
    with server_process(command, port, **environment) as (url, _):
        yield url


@contextmanager
def server_process(
    command: list[str], port: int, **environment: str
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The same, with its process."""
    process = subprocess.Popen(
        command,
        cwd=environment.get("PYTHONPATH"),
        env=child_environment(**environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                requests.get(url, timeout=5)
                break
            except requests.RequestException:
                time.sleep(0.1)
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


def measure(url: str, body: str, seconds: int, folder: Path) -> Round:
    """Load one server with wrk for some seconds over CONNECTIONS connections."""
    script = folder / "post.lua"
    script.write_text(LUA % body)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), f"{url}/predict"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if not rate or not p99:
        raise RuntimeError(f"wrk said: {text}")
    scale = {"us": 0.001, "ms": 1.0, "s": 1_000.0}[p99[2]]
    return Round(float(rate[1]), float(p99[1]) * scale, int(failed[1]) if failed else 0)


def main() -> None:
    """Measure both arms in turn and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models-dir", type=Path, default=load_settings().models_dir)
    parser.add_argument("--worker-class", default="sextant.infrastructure.buffering_worker.BufferingWorker")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--before", type=Path, help="a checkout of another commit, measured in turn with this one")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not on the PATH; install Debian's package wrk")
    body = example_record(arguments.models_dir)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sextant-bench-")))
        urls = start_arms(stack, folder, arguments)
        rounds: dict[str, list[Round]] = {arm: [] for arm in urls}
        for number in range(arguments.rounds):
            for arm, url in urls.items():
                rounds[arm].append(measure(url, body, arguments.seconds, folder))
            print(
                f"round {number + 1}: "
                + ", ".join(f"{arm} {r[-1].per_second:,.0f}/s" for arm, r in rounds.items())
            )
    report(rounds)


def example_record(models_dir: Path) -> str:
    """One row of the taxi model's reference as a request body."""
    bundle = load_bundle(models_dir, "taxi")
    names = list(bundle.manifest.feature_schema.names)
    row = bundle.reference()[names].iloc[0]
    return json.dumps({name: value if isinstance(value, str) else float(value) for name, value in row.items()})


def start_arms(stack: ExitStack, folder: Path, arguments: argparse.Namespace) -> dict[str, str]:
    """Start the echo server and the prediction service under the same gunicorn settings.

    A prediction service of another commit runs with its own.
    """
    gunicorn = [sys.executable, "-m", "gunicorn"]
    same = {"GUNICORN_CMD_ARGS": f"--worker-class {arguments.worker_class} --threads {arguments.threads}"}
    workers = str(load_settings().prediction_workers)
    port = free_port()
    echo = [
        *gunicorn,
        "-w",
        workers,
        "-b",
        f"127.0.0.1:{port}",
        "--no-control-socket",
        "benchmarks.serving:echo_app()",
    ]
    urls = {"echo": stack.enter_context(server(echo, port, **same))}
    models = arguments.models_dir
    urls["sextant"] = stack.enter_context(started(folder / "now", Path.cwd(), models, **same))[0]
    if arguments.before:
        urls["before"] = stack.enter_context(started(folder / "before", arguments.before, models))[0]
    return urls


@contextmanager
def started(
    folder: Path, checkout: Path, models_dir: Path, **more: str
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The prediction service of a checkout with an outbox of its own: its URL and its process."""
    folder.mkdir()
    (folder / "models").symlink_to(models_dir.resolve())
    port = free_port()
    settings = {"DATA_DIR": str(folder), "PREDICTION_PORT": str(port), "OUTBOX_MAX_BYTES": str(8 << 30)}
    command = [sys.executable, "-m", "prediction_service"]
    with server_process(command, port, PYTHONPATH=str(checkout.resolve()), **more, **settings) as found:
        yield found


def report(rounds: dict[str, list[Round]]) -> None:
    """Print the medians and the ratio that the issue asks for."""
    print(f"\n{'arm':<10}{'requests/s':>12}{'p99 ms':>9}{'errors':>8}   (medians of {len(rounds['echo'])} rounds)")
    for arm, results in rounds.items():
        rate = statistics.median(r.per_second for r in results)
        p99 = statistics.median(r.p99_ms for r in results)
        print(f"{arm:<10}{rate:>12,.0f}{p99:>9.1f}{sum(r.errors for r in results):>8}")
    ratios = [s.per_second / e.per_second for s, e in zip(rounds["sextant"], rounds["echo"], strict=True)]
    print(f"\nsextant / echo = {statistics.median(ratios):.2f} (median of the rounds' ratios)")
    if before := rounds.get("before"):
        ratios = [s.per_second / b.per_second for s, b in zip(rounds["sextant"], before, strict=True)]
        print(f"sextant / before = {statistics.median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)})")


if __name__ == "__main__":
    main()
