"""The index of all reports, and the scripts that their pages share."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from batch_flows.reports.files import ensure_plotly, share_scripts
from batch_flows.reports.index import INDEX, MOST_LISTED, list_files, write_index
from tests.drift_reports import put_report

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def document(number: int = 0, *, model: str = "taxi", **changes: Any) -> dict[str, Any]:
    start = START + timedelta(hours=number)
    return {
        "_id": f"r{number}",
        "flow": "drift-report",
        "model": model,
        "model_version": "v1",
        "window": {"start": start, "end": start + timedelta(hours=1)},
        "rows": 100 + number,
        "rows_with_target": 50,
        "created_at": start + timedelta(hours=2),
        "metrics": {
            "dataset_drift": number % 2 == 1,
            "drift": {"trip_distance": {"score": 0.1 * number, "threshold": 0.2, "drifted": number % 2 == 1}},
        },
        "html": f"{model}-r{number}.html",
    } | changes


def write(folder: Path, *documents: dict[str, Any]) -> str:
    for each in documents:
        put_report(folder, each, "<html><body>plots</body></html>")
    return (folder / INDEX).read_text(encoding="utf-8")


def test_a_report_is_a_page_a_summary_and_a_line_in_the_index(tmp_path: Path) -> None:
    page = write(tmp_path, document(1))
    assert (tmp_path / "taxi-r1.html").read_text() == "<html><body>plots</body></html>"
    summary = orjson.loads((tmp_path / "taxi-r1.json").read_bytes())
    assert summary["window"]["start"] == "2026-03-01T09:00:00+00:00"
    assert 'href="taxi-r1.html"' in page
    assert 'href="taxi-r1.json"' in page
    assert "trip_distance" in page


def test_the_newest_report_comes_first(tmp_path: Path) -> None:
    page = write(tmp_path, document(2), document(0), document(1))
    places = [page.index(f'href="taxi-r{number}.html"') for number in (2, 1, 0)]
    assert places == sorted(places)


def test_the_badge_says_what_the_flow_says_of_itself_or_else_its_verdict_on_drift(tmp_path: Path) -> None:
    own = {"status": {"text": "B is better", "kind": "good"}}
    page = write(tmp_path, document(1), document(3, metrics=own), document(5, metrics={}))
    for words in ("B is better", ">drift<", "no verdict"):
        assert words in page, words


def test_before_the_first_report_the_page_says_so(tmp_path: Path) -> None:
    write_index(tmp_path)
    assert "no report" in (tmp_path / INDEX).read_text().lower()


def test_a_torn_or_foreign_summary_is_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"flow": "drift')
    (tmp_path / "foreign.json").write_text('{"hello": 1}')
    page = write(tmp_path, document(1))
    assert "torn.json" in page
    assert "foreign.json" in page
    assert 'href="taxi-r1.html"' in page


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    page = write(tmp_path, document(1, model="x", html="x.html") | {"model": "<script>alert(1)</script>"})
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_many_reports_are_cut_to_the_newest_and_the_rest_is_counted(tmp_path: Path) -> None:
    for number in range(MOST_LISTED + 7):
        each = document(number)
        (tmp_path / f"taxi-r{number}.json").write_bytes(orjson.dumps(each))
    write_index(tmp_path)
    page = (tmp_path / INDEX).read_text()
    assert f"taxi-r{MOST_LISTED + 6}.json" in page
    assert 'href="taxi-r3.json"' not in page
    assert "7 older" in page or "7 more" in page


def test_a_summary_that_comes_while_the_index_is_written_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, document(1))
    calls = []

    def listing(folder: Path) -> Any:
        calls.append(folder)
        if len(calls) == 2:
            (tmp_path / "taxi-r2.json").write_bytes(orjson.dumps(document(2)))
        return list_files(folder)

    write_index(tmp_path, listing=listing)
    assert "taxi-r2.json" in (tmp_path / INDEX).read_text()


def test_a_page_without_that_very_script_stays_as_it_is(tmp_path: Path) -> None:
    page = "<html><script>var mine = 1</script></html>"
    assert share_scripts(page, tmp_path) == page
    assert not (tmp_path / "assets").exists()


def test_plotly_is_put_beside_the_pages_once(tmp_path: Path) -> None:
    path = ensure_plotly(tmp_path)
    assert path == ensure_plotly(tmp_path)
    assert (tmp_path / path).stat().st_size > 1_000_000
