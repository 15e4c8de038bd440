"""`python -m sextant.backtest` against a real store."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from sextant.infrastructure.event_store import EventStore
from tests.browser import needs_chromium, open_page
from tests.bundles import make_trips, publish_trips
from tests.events import START, predictions_from, targets_from
from tests.processes import ROOT, Program, Services

MALFORMED = {"_id": "none", "model": "taxi", "created_at": START, "model_version": "v1"}


@pytest.fixture(scope="module")
def thresholds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first of these tests keeps what it finds, for the others."""
    return tmp_path_factory.mktemp("calibration")


@pytest.fixture
def services(tmp_path: Path, thresholds: Path) -> Iterator[Services]:
    services = Services(tmp_path, thresholds)
    publish_trips(services.models_dir)
    yield services
    services.stop_all()


@pytest.fixture
def store(services: Services) -> Iterator[EventStore]:
    services.mongo().start()
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        add_drifting_trips(store)
        yield store


def add_drifting_trips(store: EventStore) -> None:
    rows = pd.concat([make_trips(400, seed=7), make_trips(300, seed=8, distance_factor=1.8)], ignore_index=True)
    predictions = predictions_from(rows)
    assert store.add_predictions(predictions) == []
    assert store.add_targets(targets_from(rows, predictions, delay=20)) == []


def backtest(services: Services, *arguments: str) -> subprocess.CompletedProcess[str]:
    bare = Program([], services.environment, services.folder / "none.log", lambda: True)
    return subprocess.run(
        [sys.executable, "-m", "sextant.backtest", *arguments],
        env=bare.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def small(*arguments: str) -> tuple[str, ...]:
    return ("--window", "200", "--min-rows", "100", "--start", "2026-01-01", "--end", "2026-01-02", *arguments)


@needs_chromium
def test_the_drift_in_mongodb_is_told_and_the_page_shows_it_on_a_phone(
    services: Services, store: EventStore
) -> None:
    page_file = services.folder / "alarms.html"
    done = backtest(services, *small("--output", str(page_file)))
    assert done.returncode == 0, done.stderr
    assert "700 predictions, 13 evaluations" in done.stdout
    assert "dataset drift, 2026-01-01 12:0" in done.stdout
    assert "still on at the end" in done.stdout
    assert "calibrating trip_distance (3 of 5)" in done.stderr
    with open_page(page_file.as_uri(), width=390) as (page, wrong):
        assert page.get_by_text("still on at the end").count() == 1
        assert page.get_by_role("img", name="trip_distance over time").bounding_box()["height"] > 50
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert wrong == []


def test_the_same_data_give_the_same_output(services: Services, store: EventStore) -> None:
    files = [services.folder / name for name in ("first.csv", "second.csv")]
    told = [backtest(services, *small("--output", str(file))).stdout for file in files]
    assert told[0] == told[1]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files[0].read_text().splitlines()) == 14


def test_an_event_that_is_none_is_named_in_one_line(services: Services, store: EventStore) -> None:
    store._db.predictions.insert_one(dict(MALFORMED))
    done = backtest(services, *small())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("backtest: MongoDB: ")
    assert "is not a valid prediction" in done.stderr
    assert "Traceback" not in done.stderr


def test_mongodb_away_is_one_line(services: Services) -> None:
    done = backtest(services)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("backtest: MongoDB: ")
    assert done.stderr.count("\n") == 1
