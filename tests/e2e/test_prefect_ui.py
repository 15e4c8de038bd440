"""Prefect's UI in a real browser: the page of a flow run says what ran, how it ended, and shows its artifacts."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from sextant.infrastructure.event_store import EventStore
from tests.browser import needs_chromium, open_page
from tests.bundles import make_trips
from tests.events import predictions_from
from tests.prefect import Prefect
from tests.processes import Services

WAIT_MS = 30_000


@needs_chromium
@pytest.mark.timeout(400)
def test_the_page_of_a_flow_run_names_the_flow_its_outcome_and_its_artifacts(services: Services) -> None:
    services.mongo().start()
    prefect = Prefect(services)
    prefect.server().start()
    prefect.flows().start()
    start = datetime.now(UTC) - timedelta(minutes=30)
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        store.add_predictions(predictions_from(make_trips(300, seed=3, distance_factor=1.6), start=start))
    run = prefect.run({"model": "taxi", "hours": 1.0})
    assert run["state_type"] == "COMPLETED", run["state"]["message"]

    with open_page(f"http://127.0.0.1:{prefect.port}/runs/flow-run/{run['id']}") as (page, wrong):
        for text in ("drift of taxi", "drift-report", "Completed", "Load model bundle"):
            expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=WAIT_MS)
        page.get_by_text("Artifacts", exact=True).click()
        for key in ("drift-report-taxi-report", "drift-report-taxi-scores", "drift-report-taxi-summary"):
            expect(page.get_by_text(key, exact=True)).to_be_visible(timeout=WAIT_MS)
        page.get_by_text("drift-report-taxi-scores", exact=True).click()
        expect(page.get_by_text("trip_distance", exact=True).first).to_be_visible(timeout=WAIT_MS)
        theirs = "Failed to load resource: the server responded with a status of 404 (Not Found)"
        assert set(wrong) <= {theirs}  # nothing of it is asked from elsewhere
