"""The demo: traffic through all services, first without and then with drift, and what was detected."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from sextant.contracts.errors import Fatal
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings
from sextant.local.constellation import ROOT
from sextant.local.environment import environment

MODEL = "taxi"
DRIFT = "trip_distance=1.5"
SETTLE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was accepted in one part of the replay, and what the constellation said of it."""

    accepted: tuple[str, ...]
    drift: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the demo promises, and whether it held."""

    name: str
    holds: bool
    detail: str


class Demo:
    """Replays traffic against a running constellation and checks the promises."""

    def __init__(self, settings: Settings, source: str, *, prometheus: bool) -> None:
        self._settings = settings
        self._source = source
        self._prometheus = prometheus
        self._environment = environment(settings)

    def run(self) -> list[Check]:
        """Replay, report, and say of each promise whether it held."""
        store = EventStore.connect(self._environment["MONGODB_URI"], self._settings.mongodb_database)
        try:
            before = store.count_predictions()
            undrifted = self._replay("undrifted traffic", seed=1)
            show(undrifted)
            drifted = self._replay(f"drifted traffic ({DRIFT})", "--drift", DRIFT, seed=2)
            show(drifted)
            report = self._report()
            return self._checks(store, before, undrifted, drifted, report)
        finally:
            store.close()

    def _replay(self, title: str, *options: str, seed: int) -> Finding:
        print(f"\n== {title} ==", flush=True)
        began = datetime.now(UTC)
        count = self._settings.window_size
        ids_file = self._settings.data_dir / f"demo-{seed}-accepted-ids.txt"
        self._python(
            "send_data.py", "--model", MODEL, "--source", self._source, "--period", "reference-holdout",
            "--count", str(count), "--seed", str(seed), "--accepted-ids", str(ids_file), *options,
        )  # fmt: skip
        accepted = tuple(ids_file.read_text().split())
        return Finding(accepted, self._wait_for_evaluation(len(accepted), began))

    def _wait_for_evaluation(self, count: int, began: datetime) -> dict[str, Any]:
        """The first evaluation of a window that holds just what was replayed since `began`."""
        url = f"{self._environment['MONITORING_URL']}/models/{MODEL}/drift"
        deadline = time.monotonic() + SETTLE_SECONDS
        drift: dict[str, Any] = {}
        key = min(self._settings.api_keys, default=None)
        while time.monotonic() < deadline:
            answer = requests.get(url, timeout=10, headers={"X-API-Key": key} if key else {})
            drift = answer.json() if answer.ok else {}
            window = drift.get("window", {})
            if window.get("rows") == count and _since(window["start"], began) and drift["calibrated"]:
                return drift
            time.sleep(0.5)
        raise Fatal(f"monitoring did not evaluate the replayed traffic within {SETTLE_SECONDS:.0f} s: {drift}")

    def _report(self) -> Path | None:
        print("\n== batch report (Prefect flow drift-report) ==", flush=True)
        self._python("-m", "batch_flows.drift_report", "--hours", "1", "--model", MODEL)
        store = EventStore.connect(self._environment["MONGODB_URI"], self._settings.mongodb_database)
        try:
            newest = next(iter(store.reports(MODEL)), None)
        finally:
            store.close()
        return self._settings.reports_dir / str(newest["html"]) if newest else None

    def _python(self, *arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT, env=self._environment)

    def _checks(
        self, store: EventStore, before: int, undrifted: Finding, drifted: Finding, report: Path | None
    ) -> list[Check]:
        accepted = [*undrifted.accepted, *drifted.accepted]
        stored = self._settled_count(store, before + len(accepted)) - before
        missing = set(accepted) - set(store.prediction_ids())
        return [
            Check(
                "every accepted prediction is in MongoDB exactly once",
                not missing and stored == len(accepted) == len(set(accepted)),
                f"{len(accepted):,} accepted, {stored:,} stored, {len(missing):,} missing",
            ),
            Check(
                "undrifted traffic raised no dataset drift", not undrifted.drift["dataset_drift"], names(undrifted)
            ),
            Check("drifted traffic did", drifted.drift["dataset_drift"], names(drifted)),
            Check("the report exists", bool(report and report.is_file()), str(report)),
            *self._prometheus_check(),
        ]

    def _settled_count(self, store: EventStore, expected: int) -> int:
        deadline = time.monotonic() + SETTLE_SECONDS
        while (count := store.count_predictions()) < expected and time.monotonic() < deadline:
            time.sleep(0.2)
        return count

    def _prometheus_check(self) -> list[Check]:
        if not self._prometheus:
            return []
        url = f"http://127.0.0.1:{self._settings.prometheus_port}/api/v1/query"
        query = f'sextant_dataset_drift{{model="{MODEL}"}}'
        deadline = time.monotonic() + SETTLE_SECONDS
        seen: list[str] = []
        while time.monotonic() < deadline and "1" not in seen:
            result = requests.get(url, params={"query": query}, timeout=10).json()["data"]["result"]
            seen = [sample["value"][1] for sample in result]
            time.sleep(0.5)
        return [
            Check("Prometheus has scraped the drift", "1" in seen, f"{query} = {', '.join(seen) or 'nothing'}")
        ]


def _since(moment: str, began: datetime) -> bool:
    return datetime.fromisoformat(moment) >= began.replace(microsecond=0)


def columns(finding: Finding) -> list[dict[str, Any]]:
    """The verdict on each column that could be judged."""
    verdicts = finding.drift["verdicts"]
    return [verdict for verdict in verdicts if verdict["name"] == "drift" and verdict["detected"] is not None]


def names(finding: Finding) -> str:
    """The drifted columns of a finding, or that there are none."""
    drifted = [verdict["column"] for verdict in columns(finding) if verdict["detected"]]
    return f"drifted: {', '.join(drifted)}" if drifted else "no column drifted"


def show(finding: Finding) -> None:
    """Print each column's score against its threshold."""
    window = finding.drift["window"]
    print(f"\nwindow of {window['rows']:,} rows, model version {finding.drift['model_version']}")
    print(f"  {'column':<16}{'method':<20}{'score':>10}{'threshold':>11}")
    for verdict in columns(finding):
        numbers = f"{verdict['value']:>10.4f}{verdict['threshold']:>11.4f}"
        mark = "  DRIFT" if verdict["detected"] else ""
        print(f"  {verdict['column']:<16}{verdict['method']:<20}{numbers}{mark}")
    print(f"  dataset drift: {'YES' if finding.drift['dataset_drift'] else 'no'}", flush=True)


def all_hold(checks: Sequence[Check]) -> bool:
    """Print every check and return whether all held."""
    print("\n== checks ==")
    for check in checks:
        print(f"  {'ok  ' if check.holds else 'FAIL'} {check.name} ({check.detail})")
    return all(check.holds for check in checks)
