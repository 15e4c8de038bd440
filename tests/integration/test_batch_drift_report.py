"""`python -m batch_flows.drift_report` against a real store, with no Prefect server in sight."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from sextant.infrastructure.event_store import EventStore
from tests.bundles import make_flowers, make_trips
from tests.drift_reports import (
    END,
    START,
    add_trips,
    only_report,
    page_of,
    pages,
    report_of_the_hour,
    verdicts_of,
    without_time,
)
from tests.events import predictions_from, targets_from
from tests.processes import ROOT, Services, free_port

REPORT_FIELDS = {
    "_id", "flow", "model", "model_version", "window", "rows", "rows_with_target", "created_at", "metrics", "html",
}  # fmt: skip


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
    assert verdicts_of(document, "drift")["trip_distance"]["detected"] is True
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
    assert len(pages(services)) == 1


@pytest.mark.usefixtures("environment")
def test_a_report_is_not_replaced_by_one_that_sees_less_since_predictions_were_deleted(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 300)
    assert report_of_the_hour() == 0
    before = only_report(store), page_of(services, only_report(store))
    capsys.readouterr()

    store.delete("taxi", list(store.prediction_ids())[:100])
    assert report_of_the_hour() == 0
    assert "was made from 300 predictions, of which 200 are still stored" in capsys.readouterr().out
    assert (only_report(store), page_of(services, only_report(store))) == before


@pytest.mark.usefixtures("environment")
def test_a_target_of_another_form_is_counted_and_the_rest_is_reported(
    services: Services, store: EventStore
) -> None:
    add_trips(store, 100)
    store._db.targets.insert_one({"_id": next(store.prediction_ids()), "model": "taxi", "value": 3.0})
    assert report_of_the_hour() == 0
    assert only_report(store)["metrics"]["documents_skipped"] == 1
    assert "1 document(s) that are no predictions or targets" in page_of(services, only_report(store))


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
def test_predictions_on_the_edges_of_the_parts_that_are_read_are_counted_once(store: EventStore) -> None:
    edges = [START + timedelta(hours=1) * number / 24 for number in range(24)]
    moments = [edge + timedelta(milliseconds=after) for edge in edges for after in (-1, 0, 1)]
    rows = predictions_from(make_trips(72, seed=4))
    store.add_predictions([replace(row, created_at=moment) for row, moment in zip(rows, moments, strict=True)])
    assert report_of_the_hour() == 0
    assert only_report(store)["rows"] == 71  # the first lies before the window


def test_fields_that_nobody_needs_are_not_fetched(store: EventStore) -> None:
    (made,) = predictions_from(make_trips(1, seed=4), start=START)
    store.add_predictions([replace(made, latency_ms=3.0, probabilities={"a.b": 0.5})])
    (read,) = store.between("taxi", START, END, without=("latency_ms", "context"))
    assert (read.latency_ms, read.context) == (None, {})
    assert (read.features, read.probabilities) == (made.features, {"a.b": 0.5})


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
def test_a_long_window_is_sampled_and_the_same_window_gives_the_same_report_in_whatever_order_it_is_stored(
    services: Services, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORT_MAX_ROWS", "200")
    trips = predictions_from(make_trips(600, seed=4))
    same_time = [replace(prediction, created_at=START) for prediction in trips]
    documents = []
    for order in (same_time, same_time[::-1]):  # the second report saw as much, so it replaces the first
        store.add_predictions(order)
        store.add_targets(targets_from(make_trips(600, seed=4), trips)[:300])
        assert report_of_the_hour() == 0
        documents.append(only_report(store))
        store.delete("taxi", [prediction.prediction_id for prediction in trips])
    assert without_time(documents[0]) == without_time(documents[1])

    document, page = documents[1], page_of(services, documents[1])
    assert (document["rows"], document["metrics"]["predictions_in_window"]) == (200, 600)
    assert "<dt>Predictions</dt><dd>600</dd>" in page
    assert "a uniform sample of 200" in page
    assert f"% of the sample ({document['rows_with_target']} targets)" in page
    assert f"--start {START.isoformat()} --end {END.isoformat()}" in page


@pytest.mark.usefixtures("environment")
def test_segments_and_the_estimated_performance_are_on_the_page_and_in_the_document(
    services: Services, store: EventStore
) -> None:
    rows = make_trips(900, seed=4)
    rows.loc[rows["payment_type"] == "2", "trip_distance"] *= 2.0
    store.add_predictions(predictions_from(rows, start=START))
    assert report_of_the_hour() == 0
    document = only_report(store)
    metrics = document["metrics"]
    assert set(metrics["performance"]) == {"estimated_mae"}
    assert {segment["segment"] for segment in metrics["segments"]} == {
        f"payment_type={kind}" for kind in (1, 2, 3)
    }
    found = verdicts_of(document, "segment_drift")
    drifted = {cause["column"] for cause in found["payment_type=2"]["causes"] if cause["detected"]}
    assert "trip_distance" in drifted
    assert found["payment_type=1"]["detected"] is False
    assert metrics["status"]["kind"] == "bad"
    assert "<td>payment_type=2</td>" in page_of(services, only_report(store))


@pytest.mark.usefixtures("environment")
def test_a_classification_is_reported_with_its_own_measures(store: EventStore) -> None:
    rows = make_flowers(300, seed=4)
    made = predictions_from(rows, model="iris", start=START)
    store.add_predictions(made)
    store.add_targets(targets_from(rows, made))
    assert report_of_the_hour("--model", "iris") == 0
    (document,) = store.reports("iris")
    assert document["metrics"]["performance"]["accuracy"] == pytest.approx(0.9, abs=0.06)
    assert document["metrics"]["segments"] == []
