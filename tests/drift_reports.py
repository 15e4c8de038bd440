"""Drift reports of one hour for tests: what they are made of, how they are asked for and where they end."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_flows.drift_report.__main__ import main
from batch_flows.reports.files import write_page
from batch_flows.reports.index import write_index
from batch_flows.reports.record import ReportRecord
from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.event_store import EventStore
from tests.bundles import make_trips
from tests.processes import Services

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
END = START + timedelta(hours=1)


def add_trips(
    store: EventStore,
    rows: int,
    *,
    factor: float = 1.0,
    version: str = "v1",
    labelled: int = 0,
    start: datetime = START,
) -> None:
    trips = make_trips(rows, seed=rows, distance_factor=factor)
    predictions = [
        Prediction(
            prediction_id=f"{version}-{number}",
            model="taxi",
            model_version=version,
            created_at=start + timedelta(milliseconds=number),
            features={name: trip[name] for name in ("PULocationID", "DOLocationID", "trip_distance")},
            prediction=trip["prediction"],
        )
        for number, trip in enumerate(trips.to_dict("records"))
    ]
    assert store.add_predictions(predictions) == []
    truths = zip(predictions[:labelled], trips["target"], strict=False)
    store.add_targets([Target(p.prediction_id, "taxi", float(truth), END) for p, truth in truths])


def report_of_the_hour(*options: str) -> int:
    return main(["--start", START.isoformat(), "--end", END.isoformat(), *options])


def only_report(store: EventStore) -> dict[str, Any]:
    (document,) = store.reports("taxi")
    return document


def verdicts_of(document: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """The report's verdicts of this name, by their column or segment."""
    found = [verdict for verdict in document["metrics"]["verdicts"] if verdict["name"] == name]
    return {verdict.get("column") or verdict.get("segment", ""): verdict for verdict in found}


def page_of(services: Services, document: dict[str, Any]) -> str:
    return (services.data_dir / "reports" / document["html"]).read_text()


def pages(services: Services) -> list[str]:
    """The reports that are there; a file that was begun and left has another name."""
    folder = services.data_dir / "reports"
    assert not list(folder.rglob(".*")), "a file was left half-written"
    return sorted(path.name for path in folder.glob("drift-report_*.html"))


def put_report(reports_dir: Path, document: dict[str, Any], html: str = "<html></html>") -> None:
    """A report's page, summary and line in the index, as a flow leaves them."""
    write_page(reports_dir, ReportRecord.model_validate(document), html)
    write_index(reports_dir)


def without_time(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "created_at"}


def damage(services: Services, model: str) -> tuple[Path, bytes]:
    """Overwrite a part of the model's reference; gives the file and what it held."""
    (path,) = services.models_dir.glob(f"{model}/v1/reference.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + b"x" * 100)
    return path, whole


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 64 KiB at this folder, which only root may mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "sextant-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
