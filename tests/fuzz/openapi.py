"""Schemathesis asks a service what its OpenAPI document allows and forbids, with all checks."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.fuzz.requests import ROUTES
from tests.fuzz.table import Table
from tests.processes import AS_RELAY, Services

SERVICES = ("prediction", "monitoring")
SCHEMATHESIS = Path(sys.executable).with_name("st")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def follow_document(services: Services, service: str, examples: int, seed: int, table: Table) -> bool:
    """Run all checks, with so many examples per operation, and count the requests; False when one failed."""
    har = services.folder / f"{service}.har"
    url = {"prediction": services.prediction_url, "monitoring": services.monitoring_url}[service]
    command = [
        SCHEMATHESIS,
        "--config-file",
        CONFIGURATION,
        "run",
        f"{url}/openapi.json",
        "--checks",
        "all",
        "--continue-on-failure",
    ]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "20"]
    command += ["--report", "har", "--report-har-path", str(har), "--suppress-health-check", "all"]
    if service == "monitoring":
        command += ["--header", f"Authorization: {AS_RELAY['Authorization']}"]
    done = subprocess.run(
        [str(part) for part in command], cwd=services.folder, capture_output=True, text=True, check=False
    )
    for entry in json.loads(har.read_text())["log"]["entries"]:
        status, sent = entry["response"]["status"], json.dumps(entry["request"]).encode()
        kinds = {header["name"].lower(): header["value"] for header in entry["response"]["headers"]}
        stated = "retry-after" in kinds and "problem+json" in kinds.get("content-type", "")
        table.add(service, _route(service, entry["request"]["url"]), str(status or "hang"), sent, stated)
    if done.returncode:
        print(done.stdout[-20_000:], done.stderr[-5_000:])
    return done.returncode == 0


def _route(service: str, url: str) -> str:
    path = urlsplit(url).path
    paths = [route.path for route in ROUTES if route.service == service]
    if path in paths:
        return path
    patterns = [known for known in paths if re.fullmatch(re.escape(known).replace(r"\{junk\}", ".+"), path)]
    return max(patterns, key=len, default="/{junk}")
