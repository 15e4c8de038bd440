"""Peak memory of prediction service, relay and monitoring under the largest records that they accept.

python -m benchmarks.memory [--records 2000] [--models-dir data/models]

Real processes; half of the records hold a long list of numbers, the others as many empty objects as fit, which
take the most memory once they are parsed. Exits with 1 when one exceeds its limit in docker-compose.yml.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import requests
import yaml  # type: ignore[import-untyped]

from benchmarks.memory_use import resident
from benchmarks.serving import example_record, free_port, server_process
from sextant.infrastructure.settings import load_settings

PER_REQUEST = 60  # as many as a request holds
CLIENTS = 12  # as many as all workers have threads
LARGEST = load_settings().max_record_bytes - 1_500  # besides: what the service adds
UNITS = {"m": 1 << 20, "g": 1 << 30}
NX = str(Path(sys.executable).with_name("nx-27017"))
TOKEN = "the-secret-of-the-benchmark"  # noqa: S105 - of benchmarks alone


def limits() -> dict[str, int]:
    """Bytes that each service may take in docker-compose.yml."""
    services = yaml.safe_load(Path("docker-compose.yml").read_text())["services"]
    found = {name: str(service["mem_limit"]) for name, service in services.items()}
    return {name: int(text[:-1]) * UNITS[text[-1]] for name, text in found.items()}


def post_records(url: str, example: str, count: int) -> None:
    """Send records as large as are accepted, in lists."""
    trip = json.loads(example)
    headers = {"Content-Type": "application/json"}
    kinds = [trip | {"numbers": [0] * (LARGEST // 2)}, trip | {"objects": [{}] * (LARGEST // 3)}]
    bodies = [json.dumps([kind] * PER_REQUEST, separators=(",", ":")) for kind in kinds]
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = clients.map(
            lambda number: requests.post(
                f"{url}/predict", data=bodies[number % len(bodies)], headers=headers, timeout=120
            ),
            range(count // PER_REQUEST),
        )
        for answer in answers:
            answer.raise_for_status()


def wait_until_delivered(relay: str) -> None:
    """Until nothing waits for a sink."""
    for _ in range(1_200):
        lines = requests.get(f"{relay}/metrics", timeout=30).text.splitlines()
        if all(line.endswith(" 0.0") for line in lines if line.startswith("sextant_outbox_events{")):
            return
        time.sleep(0.5)
    raise RuntimeError("the relay did not deliver in time")


def main() -> None:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000)
    parser.add_argument("--models-dir", type=Path, default=load_settings().models_dir)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sextant-bench-")))
        (folder / "models").symlink_to(arguments.models_dir.resolve())
        (folder / "mongo").mkdir()
        ports = {name: free_port() for name in ("mongodb", "prediction", "monitoring", "relay")}
        environment = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
        environment |= {
            "DATA_DIR": str(folder),
            "MONGODB_URI": f"mongodb://127.0.0.1:{ports['mongodb']}",
            "MONITORING_URL": f"http://127.0.0.1:{ports['monitoring']}",
            "EVENTS_TOKEN": TOKEN,
            "OUTBOX_MAX_BYTES": str(8 << 30),
        }
        mongo = [NX, "--data-dir", str(folder / "mongo"), "--host", "127.0.0.1", "--port", str(ports["mongodb"])]
        mongo += ["--pid-file", str(folder / "nx.pid"), "--log-file", str(folder / "nx.log")]
        stack.enter_context(server_process(mongo, ports["mongodb"]))
        processes = {}
        modules = {"prediction": "prediction_service", "monitoring": "monitoring_service"}
        for name, module in {**modules, "relay": "prediction_service.relay"}.items():
            command = [sys.executable, "-m", module]
            processes[name] = stack.enter_context(server_process(command, ports[name], **environment))[1]
        url = f"http://127.0.0.1:{ports['prediction']}"
        post_records(url, example_record(arguments.models_dir), arguments.records)
        wait_until_delivered(f"http://127.0.0.1:{ports['relay']}")
        time.sleep(20)  # evaluations of the full window
        peaks = {name: resident(process.pid, "VmHWM") for name, process in processes.items()}
    allowed = limits()
    print(f"{'service':<12}{'peak MiB':>10}{'limit MiB':>11}")
    for name, peak in peaks.items():
        print(f"{name:<12}{peak / 2**20:>10,.0f}{allowed[name] / 2**20:>11,.0f}")
    sys.exit(int(any(peak > allowed[name] for name, peak in peaks.items())))


if __name__ == "__main__":
    main()
