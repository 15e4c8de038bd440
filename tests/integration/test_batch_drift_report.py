"""`python -m batch_flows.drift_report` against a real store, with no Prefect server in sight."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batch_flows.drift_report import main
from contracts.event_store import EventStore
from contracts.events import Prediction, Target
from tests.bundles import make_trips
from tests.processes import ROOT, Services, free_port

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
END = START + timedelta(hours=1)
REPORT_FIELDS = {
    "_id", "flow", "model", "model_version", "window", "rows", "rows_with_target", "created_at", "metrics", "html",
}  # fmt: skip


@pytest.fixture
def store(services: Services) -> Iterator[EventStore]:
    services.mongo().start()
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        yield store


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


@pytest.fixture
def environment(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services' environment, here too, and everything that the command sets restored after the test."""
    prefect = {
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",  # where nobody answers
        "PREFECT_HOME": str(services.folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }
    for name, value in (services.environment | prefect).items():
        monkeypatch.setenv(name, value)


def report_of_the_hour(*options: str) -> int:
    return main(["--start", START.isoformat(), "--end", END.isoformat(), *options])


def only_report(store: EventStore) -> dict[str, Any]:
    (document,) = store.reports("taxi")
    return document


def page_of(services: Services, document: dict[str, Any]) -> str:
    return (services.data_dir / "reports" / document["html"]).read_text()


def test_drifted_predictions_make_a_report_on_disk_and_its_description_in_mongodb(
    services: Services, store: EventStore
) -> None:
    add_trips(store, 600, factor=1.6, labelled=150)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "batch_flows.drift_report", "--start", START.isoformat(), "--end", END.isoformat()],
        env=bare | services.environment | {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dataset drift: yes" in done.stdout
    assert "trip_distance" in done.stdout

    document = only_report(store)
    assert set(document) == REPORT_FIELDS
    assert (document["flow"], document["model"], document["model_version"]) == ("drift-report", "taxi", "v1")
    assert document["window"] == {"start": START, "end": END}
    assert (document["rows"], document["rows_with_target"]) == (600, 150)
    assert document["metrics"]["dataset_drift"] is True
    assert document["metrics"]["drift"]["trip_distance"]["drifted"] is True
    assert document["metrics"]["performance"]["mae"] > 0

    page = page_of(services, document)
    assert "taxi, version v1" in page
    assert "2026-03-01 08:00:00 to 2026-03-01 09:00:00 UTC" in page
    assert "25.0% (150 targets)" in page
    assert "trip_distance" in page


@pytest.mark.usefixtures("environment")
def test_undrifted_predictions_are_reported_as_such_and_the_same_window_is_one_report(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 600)
    for _ in range(2):
        assert report_of_the_hour() == 0
        assert "dataset drift: no" in capsys.readouterr().out
    assert only_report(store)["metrics"]["dataset_drift"] is False
    assert len(list((services.data_dir / "reports").iterdir())) == 1


@pytest.mark.usefixtures("environment")
def test_predictions_of_another_version_are_counted_and_left_out(services: Services, store: EventStore) -> None:
    add_trips(store, 300)
    add_trips(store, 100, version="v0", factor=3.0)
    assert report_of_the_hour() == 0
    document = only_report(store)
    assert document["rows"] == 300
    assert document["metrics"]["predictions_of_other_versions"] == 100
    assert "predictions of other versions: 100 of version v0" in page_of(services, document)


@pytest.mark.usefixtures("environment")
def test_the_window_holds_its_start_and_not_its_end(store: EventStore) -> None:
    add_trips(store, 100, start=START)
    add_trips(store, 100, version="late", start=END)
    assert report_of_the_hour() == 0
    metrics = only_report(store)["metrics"]
    assert (metrics["predictions_in_window"], metrics["predictions_of_other_versions"]) == (100, 0)


@pytest.mark.usefixtures("environment")
def test_one_prediction_is_reported_and_nothing_is_judged_on_it(services: Services, store: EventStore) -> None:
    add_trips(store, 1)
    assert report_of_the_hour() == 0
    document = only_report(store)
    assert document["metrics"]["dataset_drift"] is None
    assert "at least 30 are needed" in page_of(services, document)


@pytest.mark.usefixtures("environment")
def test_an_empty_window_completes_with_a_message_and_no_report(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_of_the_hour() == 0
    assert "no predictions of taxi version v1 from 2026-03-01 08:00:00" in capsys.readouterr().out
    assert store.reports() == []
    assert not (services.data_dir / "reports").exists()


@pytest.mark.usefixtures("environment")
def test_without_mongodb_the_report_fails_with_one_sentence_and_leaves_nothing(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_of_the_hour() == 1
    said = capsys.readouterr().err
    assert "drift-report: MongoDB: " in said
    assert "Traceback" not in said
    assert not (services.data_dir / "reports").exists()


@pytest.mark.usefixtures("environment")
def test_a_report_that_cannot_be_written_fails_with_one_sentence_and_is_not_recorded(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 100)
    (services.data_dir / "reports").write_text("a file where the folder should be")
    assert report_of_the_hour() == 1
    assert "could not write" in capsys.readouterr().err
    assert store.reports() == []


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "unicorn"], "there is no model 'unicorn'"),
        (["--start", END.isoformat(), "--end", START.isoformat()], "the window must end after it starts"),
        (["--start", "2026-03-01T08:00:00"], "start has no time zone"),
        (["--hours", "0"], "hours must lie between 0 and"),
        (["--model-version", "v9"], "v9"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
