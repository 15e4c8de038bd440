"""The page of a health summary in a real browser."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from batch_flows.health_summary.facts import Health
from batch_flows.health_summary.page import render
from batch_flows.reports.files import ensure_plotly
from tests.browser import needs_chromium, open_page
from tests.health import START, WINDOW, history, report, week

pytestmark = needs_chromium


def open_in_browser(folder: Path, health: Health, width: int, plotly: str) -> Any:
    (folder / "page.html").write_text(render(health, START, plotly))
    return open_page((folder / "page.html").as_uri(), width=width)


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_draws_its_plots_from_a_file_and_fits_the_screen(tmp_path: Path, width: int) -> None:
    health = Health(WINDOW, [week(report(12, True, "trip_distance"), report(13, False))], history())
    with open_in_browser(tmp_path, health, width, ensure_plotly(tmp_path)) as (shown, wrong):
        assert shown.locator(".plot .main-svg").count() >= 6
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.emulate_media(color_scheme="dark")
        expect(shown.locator(".xtick text").first).to_have_css("fill", "rgb(230, 237, 243)", timeout=10_000)
        assert wrong == []


def test_a_page_without_plotly_beside_it_says_what_is_missing(tmp_path: Path) -> None:
    with open_in_browser(tmp_path, Health(WINDOW, [week()]), 800, "assets/none.js") as (shown, _):
        assert "This plot needs assets/none.js beside the page." in shown.locator(".plot").first.inner_text()
        assert "Slowest hours" in shown.inner_text("main")
