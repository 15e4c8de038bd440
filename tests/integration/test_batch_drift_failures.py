"""Drift reports that cannot be made, or not of all rows: each says so in a sentence and leaves nothing behind."""

import json
import shutil

import pytest

from batch_flows.drift_report.__main__ import main
from sextant.contracts.model_bundle import file_sha256
from sextant.infrastructure.event_store import EventStore
from tests.drift_reports import (
    END,
    START,
    add_trips,
    damage,
    only_report,
    page_of,
    pages,
    report_of_the_hour,
    small_disk,
)
from tests.processes import Services


@pytest.mark.usefixtures("environment")
def test_documents_of_older_schema_versions_are_counted_and_a_missing_feature_is_a_missing_value(
    services: Services, store: EventStore
) -> None:
    add_trips(store, 300)
    older = {"model": "taxi", "model_version": "v1", "created_at": START, "prediction": 9.0}
    partial = {"features": {"trip_distance": 2.0}}
    odd = [{}, {"features": None}, {"features": [1, 2, 3]}, {"features": {}, "context": "night"}, partial]
    store._db.predictions.insert_many(
        [{"_id": f"odd-{number}", **older, **changes} for number, changes in enumerate(odd)]
    )
    assert report_of_the_hour() == 0
    document = only_report(store)
    assert document["rows"] == 301
    assert document["metrics"]["documents_skipped"] == 4
    assert "4 document(s) that are no predictions or targets (first: odd-0: TypeError" in page_of(
        services, document
    )


@pytest.mark.usefixtures("environment")
def test_all_models_get_a_report_and_one_that_fails_stops_no_other(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 300)
    path, whole = damage(services, "iris")
    assert report_of_the_hour("--model", "all") == 1
    said = capsys.readouterr().err
    assert "1 of 2 models done. iris failed: model file " in said
    assert "reference.parquet is corrupt (its checksum is wrong)" in said
    assert "; taxi: taxi version v1, " in said
    assert len(pages(services)) == 1

    path.write_bytes(whole)
    assert report_of_the_hour("--model", "all") == 0
    said = capsys.readouterr().out
    assert "2 of 2 models done. iris: no predictions of iris version v1" in said
    assert "taxi: taxi version v1" in said


@pytest.mark.usefixtures("environment", "store")
def test_a_corrupt_reference_is_one_sentence_and_leaves_nothing(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(services, "taxi")
    assert report_of_the_hour() == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.endswith("is corrupt (its checksum is wrong); run: python prepare.py --force")
    assert not (services.data_dir / "reports").exists()


@pytest.mark.usefixtures("environment")
def test_a_reference_that_is_no_parquet_file_is_named_too(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 100)
    path, _ = damage(services, "taxi")
    manifest = path.with_name("manifest.json")
    content = json.loads(manifest.read_text())
    content["files"]["reference.parquet"] = file_sha256(path)
    manifest.write_text(json.dumps(content))
    assert report_of_the_hour() == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "reference.parquet cannot be read (ArrowInvalid: " in sentence
    assert sentence.endswith("run: python prepare.py --force")


@pytest.mark.usefixtures("environment")
def test_a_fault_of_ours_is_one_sentence_too_and_its_trace_is_in_the_log(
    store: EventStore,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck")

    add_trips(store, 100)
    monkeypatch.setattr("sextant.evaluation.report.render", fail)
    assert report_of_the_hour() == 1
    assert "drift-report: unexpected RuntimeError: out of luck" in capsys.readouterr().err.splitlines()
    assert "in fail" in caplog.text
    assert store.reports() == []


@pytest.mark.usefixtures("environment")
def test_without_any_model_there_is_nothing_to_report_on(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(services.models_dir)
    assert report_of_the_hour("--model", "all") == 1
    assert "there is no model in " in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_a_report_succeeds_once_mongodb_is_back(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 300)
    mongo = services.programs[-1]
    mongo.kill()
    assert report_of_the_hour() == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("drift-report: MongoDB: ")
    mongo.start()
    assert report_of_the_hour() == 0
    assert len(pages(services)) == 1


@pytest.mark.usefixtures("environment")
def test_a_full_disk_is_one_sentence_leaves_no_half_written_file_and_does_not_outlast_its_cause(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 300)
    with small_disk(services.data_dir / "reports"):
        assert report_of_the_hour() == 1
        said = capsys.readouterr().err
        assert "No space left on device" in said
        assert "Traceback" not in said
        assert pages(services) == []
        assert store.reports() == []
    assert report_of_the_hour() == 0
    assert pages(services) == [only_report(store)["html"]]


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
        (["--model", "all", "--model-version", "v1"], "--model-version needs the name of its model"),
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
