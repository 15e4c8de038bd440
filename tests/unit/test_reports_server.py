"""The reports over HTTP: files of one folder, with the headers that keep a page from doing harm."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from batch_flows.reports.server import reports_server
from sextant.contracts.page_policy import DATA, HEADERS, REPORTS
from sextant.infrastructure.keys import Key, KeyRing, digest_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    (folder / "assets").mkdir(parents=True)
    for name in ("r.html", "r.json", "assets/plotly-1.js", ".writing-r.html"):
        (folder / name).write_text("content")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def connection(folder: Path) -> Iterator[HTTPConnection]:
    with serving(folder, KeyRing()) as connection:
        yield connection


@contextmanager
def serving(folder: Path, keys: KeyRing) -> Iterator[HTTPConnection]:
    with reports_server(folder, "127.0.0.1", 0, keys) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        yield connection
        connection.close()
        server.shutdown()
        thread.join()


def ask(connection: HTTPConnection, path: str, method: str = "GET") -> tuple[HTTPResponse, str]:
    connection.request(method, path)
    response = connection.getresponse()
    return response, response.read().decode()


def test_pages_come_sandboxed_and_summaries_closed(connection: HTTPConnection) -> None:
    for path, policy in {
        "/r.html": REPORTS,
        "/r.json": DATA,
        "/assets/plotly-1.js": REPORTS,
        "/no": REPORTS,
    }.items():
        response, _ = ask(connection, path)
        assert response.status == (404 if path == "/no" else 200)
        assert response.headers["Content-Security-Policy"] == policy
        assert set(HEADERS) <= set(response.headers.items()), path


def test_before_the_first_report_the_page_says_so_and_no_folder_is_listed(connection: HTTPConnection) -> None:
    response, page = ask(connection, "/")
    assert response.status == 200
    assert "no report yet" in page
    assert ask(connection, "/assets/")[0].status == 404
    assert ask(connection, "/assets")[0].status in {301, 404}


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "//../secret.txt", "/.writing-r.html", "/%2ewriting-r.html"]
)
def test_nothing_else_is_served(connection: HTTPConnection, path: str) -> None:
    response, text = ask(connection, path)
    assert (response.status, "secret" in text, "content" in text) == (404, False, False)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/assets/plotly-1.js", 200),
        ("/assets/", 404),
        *((path, 401) for path in ("/", "/r.html", "/r.json", "/nowhere", "/assets")),
        *((f"/assets/{up}/r.html", 401) for up in ("..", "%2e%2e", ".%2E", "x/../..")),
        *((path, 401) for path in ("//assets/../r.html", "/r.html?/assets/", "/r.html#/assets/x", "/./r.html")),
    ],
)
def test_where_keys_are_asked_for_no_other_spelling_of_a_path_opens_a_report(
    folder: Path, path: str, status: int
) -> None:
    with serving(folder, KeyRing([Key("anna", digest_of("k"), frozenset({"read"}))])) as connection:
        response, text = ask(connection, path)
        assert response.status == status
        assert "content" not in text or status == 200
        assert ask(connection, path, "HEAD")[0].status in (status, 404)  # /healthz has no file


def test_only_reading_is_possible(connection: HTTPConnection) -> None:
    assert ask(connection, "/r.html", "HEAD")[0].status == 200
    response, _ = ask(connection, "/r.html", "DELETE")
    assert response.status == 501
    assert set(HEADERS) <= set(response.headers.items())


def test_assets_are_kept_by_browsers_and_pages_are_asked_for_again(connection: HTTPConnection) -> None:
    assert "immutable" in ask(connection, "/assets/plotly-1.js")[0].headers["Cache-Control"]
    assert ask(connection, "/r.html")[0].headers["Cache-Control"] == "no-cache"
