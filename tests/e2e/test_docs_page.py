"""The prediction service's documentation page in a real browser, without a request to anywhere else."""

from tests.browser import needs_chromium, open_page


@needs_chromium
def test_the_docs_page_shows_every_route_and_can_send_a_request(services):
    services.prediction().start()
    with open_page(services.prediction_url) as (page, wrong):
        page.wait_for_selector(".opblock")
        text = page.inner_text("body")
        for route in ("/predict", "/models/iris/predict", "/feedback", "/readyz"):
            assert route in text
        page.click('[data-path="/models/taxi/predict"]')
        page.click("button.try-out__btn")
        page.fill("textarea.body-param__text", '{"PULocationID": 1, "DOLocationID": 2, "trip_distance": 2}')
        page.click("button.execute")
        page.wait_for_selector(".live-responses-table")
        assert '"prediction": 13' in page.inner_text(".live-responses-table")
        assert wrong == []
