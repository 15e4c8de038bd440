"""The reports as an analyst opens them: from the folder or over HTTP, index first, then the report."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch_flows.reports.server import reports_server
from sextant.evaluation.drift.calibration import calibrate
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import as_dicts
from sextant.infrastructure.keys import Key, KeyRing, digest_of
from tests.browser import needs_chromium, open_page
from tests.bundles import make_trips, publish_trips
from tests.drift_reports import put_report

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
PHONE = 390
KEY = "the-key-of-anna"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two reports of two models, one of them drifted."""
    from sextant.evaluation.report import render  # imports Evidently, which takes seconds

    folder = tmp_path_factory.mktemp("reports")
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=400)
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    thresholds = calibrate(reference.values, reference.columns, false_alarm_rate=0.0001)
    for number, (model, factor) in enumerate({"calm": 1.0, "moved": 2.0}.items()):
        window = reference.conform(make_trips(300, seed=9, distance_factor=factor))
        found = evaluate(reference, window, thresholds)
        document = {
            "flow": "drift-report",
            "model": model,
            "model_version": "v1",
            "window": {"start": START, "end": START + timedelta(hours=1)},
            "rows": 300,
            "rows_with_target": 300,
            "created_at": START + timedelta(hours=2, minutes=number),
            "metrics": {"dataset_drift": found.dataset_drift, "verdicts": as_dicts(found.verdicts)},
            "html": f"{model}.html",
        }
        page = render(reference, window, found, title=f"Drift of {model}").html
        put_report(folder, document, page)
    return folder


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The folder over HTTP, as make reports and compose serve it."""
    keys = KeyRing([Key("anna", digest_of(KEY), frozenset({"read"}))])
    server = reports_server(folder, "127.0.0.1", 0, keys)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@needs_chromium
@pytest.mark.parametrize("way", ["file", "http"])
def test_from_the_index_to_the_report_that_names_what_drifted(reports: Path, way: str) -> None:
    with serving(reports) as address:
        folder, key = (f"file://{reports}", None) if way == "file" else (address, KEY)
        with open_page(f"{folder}/index.html", key=key) as (page, wrong):
            assert "calm" in page.inner_text("body")
            page.locator('a[href="moved.html"]').first.click()
            page.wait_for_selector("text=Drift of moved")
            page.wait_for_selector("text=Dataset Drift")  # drawn by the script that the reports share
            assert "trip_distance" in page.inner_text("body")
            assert wrong == []


@needs_chromium
def test_the_index_can_be_narrowed_to_one_model_and_fits_a_phone(reports: Path) -> None:
    with open_page(f"file://{reports}/index.html", width=PHONE) as (page, wrong):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        page.locator("select").first.select_option("calm")
        assert page.locator('a[href="calm.html"]').first.is_visible()
        assert not page.locator('a[href="moved.html"]').first.is_visible()
        assert wrong == []
