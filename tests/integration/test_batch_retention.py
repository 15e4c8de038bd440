"""`python -m batch_flows.retention` against a real store: what goes, what stays, what an interruption leaves."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_flows.retention.__main__ import main
from batch_flows.retention.plan import AgeLimits, Deleted
from sextant.contracts.events import Prediction, Target, stored_time
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import load_settings
from tests.drift_reports import put_report
from tests.processes import Program, Services

WINDOW_SIZE = 10
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)
NOW = stored_time(datetime.now(UTC))
OLD = NOW - 200 * DAY


@pytest.fixture(autouse=True)
def _environment(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOW_SIZE", str(WINDOW_SIZE))


@pytest.fixture
def mongo(services: Services) -> Program:
    return services.mongo().start()


@pytest.fixture
def store(services: Services, mongo: Program) -> Iterator[EventStore]:
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        store.ensure_indexes()
        yield store


def add(
    store: EventStore, name: str, times: Sequence[datetime], *, model: str = "taxi", version: str = "v1"
) -> None:
    """Predictions at these times, every second one with its target."""
    made = [Prediction(f"{name}{n}", model, version, time, {}, 1.0) for n, time in enumerate(times)]
    assert store.add_predictions(made) == []
    store.add_targets([Target(one.prediction_id, model, 1.0, NOW) for one in made[::2]])


def add_window(store: EventStore, *, model: str = "taxi") -> None:
    """As many new predictions as monitoring's window holds."""
    add(store, f"new-{model}-", [NOW - n * MILLISECOND for n in range(WINDOW_SIZE)], model=model)


def seconds(start: datetime, count: int) -> list[datetime]:
    return [start + timedelta(seconds=n) for n in range(count)]


def cover(store: EventStore, start: datetime, end: datetime, **changes: Any) -> dict[str, Any]:
    usual = {
        "_id": f"{start:%Y%m%dT%H%M%S.%f}",
        "flow": "drift-report",
        "model": "taxi",
        "model_version": "v1",
        "window": {"start": start, "end": end},
        "rows": 1,
        "rows_with_target": 0,
        "created_at": end,
        "metrics": {},
        "html": f"{start:%Y%m%d}.html",
    }
    store.add_report(document := usual | changes)
    return document


def ids(store: EventStore, *prefixes: str) -> list[str]:
    return sorted(name for name in store.prediction_ids() if name.startswith(prefixes))


def targets(store: EventStore, name: str, count: int) -> list[str]:
    return sorted(store.targets_for("taxi", (f"{name}{n}" for n in range(count))))


def test_a_dry_run_says_what_would_go_and_deletes_nothing(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add(store, "old", seconds(OLD, 5))
    add_window(store)
    document = cover(store, OLD, OLD + DAY)
    put_report(services.data_dir / "reports", document)
    assert main(["--keep-reports-days", "100"]) == 0
    said = capsys.readouterr().out
    assert "dry run: would delete 5 predictions and 3 targets of taxi made before" in said
    assert "would delete 1 report from before" in said
    assert len(ids(store, "old")) == 5
    assert len(targets(store, "old", 5)) == 3
    assert (services.data_dir / "reports" / document["html"]).is_file()


def test_what_is_old_and_covered_goes_with_its_targets_and_a_second_run_finds_nothing(
    store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add(store, "old", seconds(OLD, 5))
    add_window(store)
    cover(store, OLD, OLD + DAY)
    assert main(["--apply"]) == 0
    assert "deleted 5 predictions and 3 targets of taxi" in capsys.readouterr().out
    assert ids(store, "old") == targets(store, "old", 5) == []
    assert len(ids(store, "new")) == WINDOW_SIZE
    assert len(targets(store, "new-taxi-", WINDOW_SIZE)) == WINDOW_SIZE // 2

    assert main(["--apply"]) == 0
    assert "nothing was made before" in capsys.readouterr().out


def test_what_no_report_of_its_version_covers_stays_and_the_gap_is_named(
    store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add(store, "covered", seconds(OLD, 4))
    add(store, "between", seconds(OLD + DAY, 3))
    add(store, "other", seconds(OLD, 2), version="v0")
    add_window(store)
    cover(store, OLD, OLD + DAY)
    assert main(["--apply"]) == 0
    said = capsys.readouterr().out
    assert "deleted 4 predictions" in said
    assert "keeps 5 that no report covers" in said
    assert f"version v1: 3 from {OLD + DAY:%Y-%m-%d %H:%M:%S}" in said
    assert f"version v0: 2 from {OLD:%Y-%m-%d %H:%M:%S}" in said
    assert len(ids(store, "covered", "between", "other")) == 5

    assert main(["--apply", "--without-report"]) == 0
    assert ids(store, "covered", "between", "other") == []


def test_the_cut_is_exact_where_the_server_compares_whole_seconds(store: EventStore) -> None:
    from batch_flows.retention.steps import clear_predictions

    cut = stored_time(NOW - 100 * DAY).replace(microsecond=500_000)
    add(store, "p", [cut - MILLISECOND, cut, cut + MILLISECOND])
    add_window(store)
    clear_predictions(load_settings(), "taxi", AgeLimits(cut, None), None, apply=True, tally=Deleted())
    assert ids(store, "p") == ["p1", "p2"]


def test_the_newest_predictions_stay_for_monitorings_window_however_old(
    store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add(store, "old", seconds(OLD, WINDOW_SIZE + 3))
    cover(store, OLD, OLD + DAY)
    for told in ("deleted 3 predictions", "deleted 0 predictions"):
        assert main(["--apply"]) == 0
        said = capsys.readouterr().out
        assert told in said
        assert f"keeps {WINDOW_SIZE} for monitoring's window" in said
    newest = [prediction.prediction_id for prediction in store.latest("taxi", 99, until=datetime.now(UTC))]
    assert newest == [f"old{number}" for number in range(3, WINDOW_SIZE + 3)]


def test_one_model_is_cleared_and_the_others_are_left(store: EventStore) -> None:
    for model in ("taxi", "retired"):
        add(store, model, seconds(OLD, 3), model=model)
        add_window(store, model=model)
        cover(store, OLD, OLD + DAY, _id=model, model=model)
    assert main(["--apply", "--model", "retired"]) == 0  # it has no bundle any more
    assert ids(store, "retired", "taxi") == ["taxi0", "taxi1", "taxi2"]
    assert main(["--apply"]) == 0
    assert ids(store, "retired", "taxi") == []


def test_documents_that_are_no_predictions_stop_nothing(store: EventStore, services: Services) -> None:
    from pymongo import MongoClient

    add(store, "old", seconds(OLD, 3))
    add_window(store)
    odd = [
        {"_id": "text", "model": "taxi", "created_at": OLD.isoformat()},
        {"_id": "none", "model": "taxi", "created_at": None},
        {"_id": "bare", "model": "taxi", "created_at": OLD},
    ]
    with MongoClient(services.mongodb_uri) as client:
        client["sextant"]["predictions"].insert_many(odd)
    cover(store, OLD, OLD + DAY)
    assert main(["--apply"]) == 0
    assert ids(store, "old", "text", "none", "bare") == ["bare", "none", "text"]  # they have no version or time


def test_mongodb_going_away_in_the_middle_is_said_with_what_is_gone_and_a_second_run_completes(
    store: EventStore, mongo: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(store, "old", [OLD + n * MILLISECOND for n in range(2_500)])
    add_window(store)
    cover(store, OLD, OLD + DAY)
    delete = EventStore.delete

    def delete_once(self: EventStore, model: str, prediction_ids: Sequence[str]) -> tuple[int, int]:
        done = delete(self, model, prediction_ids)
        mongo.kill()
        return done

    with monkeypatch.context() as patched:
        patched.setattr(EventStore, "delete", delete_once)
        assert main(["--apply"]) == 1
    said = capsys.readouterr().err
    assert "retention: MongoDB: " in said
    assert "it deleted at least 1,000 predictions and 500 targets of taxi: run it again" in said
    assert len(said.splitlines()) == 1

    mongo.start()
    assert len(ids(store, "old")) == 1_500
    assert main(["--apply"]) == 0
    assert "deleted 1,500 predictions and 750 targets of taxi" in capsys.readouterr().out
    assert ids(store, "old") == []


def reported(store: EventStore, reports: Path, age: timedelta, **changes: Any) -> dict[str, Any]:
    document = cover(store, NOW - age - DAY, NOW - age, **changes)
    put_report(reports, document)
    return document


def test_old_pages_go_with_their_summaries_and_their_documents_stay(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = services.data_dir / "reports"
    old = reported(store, reports, 400 * DAY, html="taxi_old.html")
    new = reported(store, reports, 10 * DAY, html="taxi_new.html")
    assert main(["--apply", "--keep-all-reports"]) == 0
    assert (reports / old["html"]).exists()

    for told in ("deleted 1 report from before", "no report is too old"):
        assert main(["--apply"]) == 0
        assert told in capsys.readouterr().out.splitlines()[-1]
    left = {path.name for path in reports.iterdir()}
    assert {"taxi_new.html", "taxi_new.json"} <= left
    assert not {"taxi_old.html", "taxi_old.json"} & left
    assert json.loads((reports / "taxi_new.json").read_text())["_id"] == new["_id"]
    index = (reports / "index.html").read_text()
    assert "taxi_new.html" in index
    assert "taxi_old.html" not in index
    assert {document["_id"] for document in store.reports("taxi")} == {old["_id"], new["_id"]}


def test_no_file_outside_of_the_reports_folder_is_ever_deleted(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    reports, outside = services.data_dir / "reports", services.data_dir / "elsewhere"
    outside.mkdir(parents=True)
    reports.mkdir()
    (reports / "link").symlink_to(outside)
    for name in ("page.html", "page.json"):
        (outside / name).write_text("not a report of ours")
    for number, name in enumerate(["../elsewhere/page.html", str(outside / "page.html"), "link/page.html"]):
        cover(store, OLD, OLD + DAY, _id=str(number), html=name)
    assert main(["--apply", "--keep-reports-days", "1"]) == 0
    assert "leaves 3 reports whose file is not a page in the folder" in capsys.readouterr().out
    assert sorted(path.name for path in outside.iterdir()) == ["page.html", "page.json"]


def test_a_page_that_cannot_be_deleted_is_one_sentence(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (services.data_dir / "reports" / "page.html").mkdir(parents=True)  # a folder where the page should be
    cover(store, OLD, OLD + DAY, html="page.html")
    assert main(["--apply", "--keep-reports-days", "1"]) == 1
    assert "could not delete " in capsys.readouterr().err


def test_without_mongodb_nothing_is_deleted_and_one_sentence_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--apply"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("retention: MongoDB: ")
    assert len(said.err.splitlines()) == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--older-than-days", "-1"], "older_than_days must lie between 0 and 36,600, got -1"),
        (["--keep-reports-days", "nan"], "keep_reports_days must lie between"),
        (["--model", "unicorn"], "there is no model 'unicorn' and no prediction of it; known: iris, taxi"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--apply"]) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
