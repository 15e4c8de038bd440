"""docs/analyst.py, run as its page says, against a real store."""

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sextant.infrastructure.event_store import EventStore
from tests.bundles import make_trips
from tests.events import predictions_from, targets_from
from tests.processes import ROOT, Services


@pytest.fixture
def store(services: Services) -> EventStore:
    services.mongo().start()
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        yield store


def analyse(services: Services, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "docs/analyst.py", *options]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | services.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_analysts_script_reads_plots_judges_and_renders(
    services: Services, store: EventStore, tmp_path: Path
) -> None:
    rows = make_trips(300, seed=3, distance_factor=1.6)
    recent = predictions_from(rows, start=datetime.now(UTC) - timedelta(hours=1))
    store.add_predictions(recent)
    store.add_targets(targets_from(rows, recent)[:200])
    old = predictions_from(rows, start=datetime.now(UTC) - timedelta(hours=9), prefix="old")
    store.add_predictions(old)
    store.add_predictions(predictions_from(rows[:5], version="v0", start=recent[0].created_at, prefix="v0-"))

    ran = analyse(services, "--hours", "2", "--out", str(tmp_path / "mine"))
    assert ran.returncode == 0, ran.stderr
    assert "300 predictions of taxi, 200 with a target" in ran.stdout
    (distance,) = [line for line in ran.stdout.splitlines() if line.startswith("drift trip_distance: ")]
    assert "beyond the threshold" in distance
    (zone,) = [line for line in ran.stdout.splitlines() if line.startswith("drift PULocationID: ")]
    assert "within the threshold" in zone

    plot = (tmp_path / "mine" / "analyst_taxi_trip_distance.html").read_text()
    assert "plotly" in plot
    assert "reference" in plot
    report = tmp_path / "mine" / "analyst_taxi_report.html"
    assert ran.stdout.splitlines()[-1] == f"report: {report}"
    assert "taxi: my window" in report.read_text()


def test_an_empty_window_is_one_sentence(services: Services, store: EventStore) -> None:
    ran = analyse(services, "--hours", "1")
    assert ran.returncode == 1
    assert ran.stderr.strip() == "no predictions of taxi version v1 in the last 1 hours"
