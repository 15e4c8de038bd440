"""A real headless Chromium for tests of pages; tests that need it are skipped where it is not installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import HttpCredentials, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def open_page(
    url: str, *, width: int = 1280, height: int = 900, key: str | None = None
) -> Iterator[tuple[Page, list[str]]]:
    """A page and the list of all that went wrong on it: console errors, exceptions, requests to elsewhere.

    `key` is what a person types when the browser asks for a password.
    """
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        typed = HttpCredentials(username="anyone", password=key) if key else None
        page = browser.new_page(viewport={"width": width, "height": height}, http_credentials=typed)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda request: wrong.append(f"asks {request.url}") if _is_elsewhere(request.url) else None
        )
        try:
            page.goto(url)
            yield page, wrong
        finally:
            browser.close()


def _is_elsewhere(url: str) -> bool:
    return url.startswith("http") and "//127.0.0.1" not in url
