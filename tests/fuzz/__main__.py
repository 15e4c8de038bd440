"""`make fuzz`: real services, FUZZ_REQUESTS requests, a table; fails on a hang and on 5xx but for stated 503."""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.conftest import publish_real_bundles
from tests.fuzz.generated import fuzz
from tests.fuzz.openapi import SERVICES, follow_document
from tests.fuzz.requests import TRIP
from tests.fuzz.table import Table
from tests.processes import Services, answers

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "20000"))
SEED = int(os.environ.get("SEED") or 0) or time.time_ns() % 1_000_000


def main() -> int:
    """Run all; returns the exit code."""
    print(f"at least {REQUESTS:,} requests, SEED={SEED}", flush=True)
    failed = False
    with tempfile.TemporaryDirectory(prefix="sextant-fuzz-") as folder:
        services = Services(Path(folder))
        publish_real_bundles(services.models_dir)
        try:
            _start(services)
            table = Table()
            for service in SERVICES:
                failed |= not follow_document(services, service, REQUESTS // 100, SEED, table)
            fuzz(services.ports, max(REQUESTS - table.total, REQUESTS // 2), SEED, table)
            print(table.text())
            failed |= not _are_well(services)
        finally:
            services.stop_all()
        for (service, route, status), sent in table.wrong.items():
            failed = True
            print(f"\n{status} of {service} for {route}:\n{sent[:2_000]!r}")
        if errors := _errors(services):
            failed = True
            print(f"\n{len(errors)} errors in the logs, such as:\n{errors[0][:3_000]}")
    print(f"{table.total:,} requests, {'FAILED' if failed else 'passed'}; again: SEED={SEED} make fuzz")
    return int(failed)


def _start(services: Services) -> None:
    programs = [services.mongo(), services.prediction(), services.monitoring()]
    for program in programs:
        program.start(wait=False)
    for program in programs:
        program.wait_ready()


def _are_well(services: Services) -> bool:
    """Whether both still do what they are for."""
    answer = requests.post(f"{services.prediction_url}/predict", json=TRIP, timeout=10)
    return answer.ok and answers(f"{services.monitoring_url}/healthz")


def _errors(services: Services) -> list[str]:
    """Lines of the logs that tell of what must not happen, whatever a client sends."""
    lines = [
        line for program in services.programs for line in program.log.read_text(errors="replace").splitlines()
    ]
    return [line for line in lines if re.search(r'"level":"(error|critical)"|Traceback', line)]


if __name__ == "__main__":
    sys.exit(main())
