"""The live page in a real browser: legible with no data, and on a phone once something has drifted."""

from datetime import UTC, datetime, timedelta

import requests

from tests.browser import needs_chromium, open_page
from tests.bundles import make_trips
from tests.events import body_of, predictions_from, targets_from
from tests.processes import post_events, wait_until

PHONE = 390


@needs_chromium
def test_the_live_page_is_legible_without_data_and_names_what_drifted(services):
    services.mongo().start()
    services.monitoring(EVALUATE_EVERY="0.2", WINDOW_SIZE="400").start()
    with open_page(services.monitoring_url) as (page, wrong):
        assert "taxi" in page.inner_text("body")
        assert wrong == []

    rows = make_trips(400, seed=5, distance_factor=2.0)
    sent = predictions_from(rows, start=datetime.now(UTC) - timedelta(minutes=10))
    body = body_of(sent, targets_from(rows, sent, delay=1.0))
    assert post_events(services.monitoring_url, body).status_code == 202
    drift = f"{services.monitoring_url}/models/taxi/drift"
    wait_until(lambda: requests.get(drift, timeout=10).json().get("dataset_drift"), "the drift to be found")

    with open_page(services.monitoring_url, width=PHONE) as (page, wrong):
        text = page.inner_text("body")
        for word in ("trip_distance", "drifted", "mae", "400 rows"):
            assert word in text
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        assert page.locator("svg").count() >= 4
        assert wrong == []
