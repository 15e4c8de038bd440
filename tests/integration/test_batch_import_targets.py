"""`python -m batch_flows.import_targets` against a real store, with no Prefect server in sight."""

import csv
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pymongo import MongoClient

from batch_flows.import_targets import steps as target_steps
from batch_flows.import_targets.__main__ import main
from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.event_store import EventStore
from tests.bundles import make_flowers, make_trips
from tests.events import predictions_from
from tests.processes import Services

RECEIVED = datetime(2026, 3, 1, 8, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("environment")


def add_trips(store: EventStore, rows: int) -> list[Prediction]:
    predictions = predictions_from(make_trips(rows))
    assert store.add_predictions(predictions) == []
    return predictions


def written(folder: Path, *lines: str, header: str = "prediction_id,target") -> Path:
    path = folder / "targets.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def stored(store: EventStore, *identifiers: str, model: str = "taxi") -> dict[str, float | str]:
    return {identifier: target.target for identifier, target in store.targets_for(model, identifiers).items()}


def rejected(path: Path) -> dict[int, str]:
    with path.with_name(f"{path.name}.rejected.csv").open(newline="") as stream:
        return {int(row["line"]): row["reason"] for row in csv.DictReader(stream)}


def test_every_row_is_matched_unknown_malformed_or_repeated(
    store: EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 3)
    store.add_predictions(predictions_from(make_flowers(1), model="iris", prefix="flower"))
    path = written(
        tmp_path, "p000000,9", "p000001,12.5", "nobody,3", "p000002,soon", "flower000000,4", "p000000,10"
    )
    assert main([str(path)]) == 0
    said = capsys.readouterr().out
    assert said == (
        f"import-targets: 6 rows: 2 matched, 1 unknown, 2 malformed (see {path}.rejected.csv), "
        "1 repeated in the file\n"
    )
    assert stored(store, "p000000", "p000001", "p000002", "nobody", "flower000000") == {
        "p000000": 10.0,
        "p000001": 12.5,
        "nobody": 3.0,
    }
    assert rejected(path) == {
        5: "target is not a number: 'soon'",
        6: "is a prediction of iris, and the import is for taxi",
    }


def test_the_same_file_again_changes_no_document_in_either_mode(
    store: EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions = add_trips(store, 40)
    identifiers = [prediction.prediction_id for prediction in predictions]
    path = written(tmp_path, *(f"{identifier},{n}" for n, identifier in enumerate(identifiers * 2)))
    assert main([str(path)]) == 0
    before = store.targets_for("taxi", identifiers)
    capsys.readouterr()
    for options in ([], ["--replace"]):
        assert main([str(path), *options]) == 0
        assert "40 matched (40 already there), 0 unknown, 0 malformed, 40 repeated" in capsys.readouterr().out
        assert store.targets_for("taxi", identifiers) == before


def test_another_stored_value_is_replaced_by_a_later_one_only_and_never_silently(
    store: EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 3)
    store.add_targets([Target(f"p00000{n}", "taxi", 1.0, RECEIVED) for n in range(3)])
    later, earlier = (RECEIVED + timedelta(hours=hours) for hours in (1, -1))
    header = "prediction_id,target,received_at"
    lines = (f"p000000,2,{later.isoformat()}", f"p000001,2,{earlier.isoformat()}", "p000002,2,")
    path = written(tmp_path, *lines, header=header)

    assert main([str(path)]) == 0
    counts = "3 matched (1 replaced another value, 2 left as stored, with another value)"
    assert counts in capsys.readouterr().out
    found = store.targets_for("taxi", ["p000000", "p000001", "p000002"])
    assert [found[name].target for name in sorted(found)] == [2.0, 1.0, 1.0]
    assert found["p000000"].received_at == later

    assert main([str(path), "--replace"]) == 0
    assert "1 already there, 1 replaced another value, 1 left as stored" in capsys.readouterr().out
    assert stored(store, "p000001", "p000002") == {"p000001": 1.0, "p000002": 2.0}


def test_an_imported_target_outlasts_the_arrival_of_its_prediction(store: EventStore, tmp_path: Path) -> None:
    path = written(tmp_path, "p000000,7")
    assert main([str(path)]) == 0
    add_trips(store, 1)
    assert main([str(path)]) == 0
    assert stored(store, "p000000") == {"p000000": 7.0}


def test_unknown_targets_are_left_out_when_told_to_and_none_usable_is_a_failure(
    store: EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "p000000,7", "nobody,8")
    assert main([str(path), "--skip-unknown"]) == 1
    assert "nothing usable in" in capsys.readouterr().err
    add_trips(store, 1)
    assert main([str(path), "--skip-unknown"]) == 0
    assert "1 matched, 1 unknown (1 left out), 0 malformed" in capsys.readouterr().out
    assert stored(store, "p000000", "nobody") == {"p000000": 7.0}


def test_classes_from_parquet_are_checked_against_the_model(
    store: EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.add_predictions(predictions_from(make_flowers(2), model="iris"))
    path = tmp_path / "targets.parquet"
    pd.DataFrame({"prediction_id": ["p000000", "p000001"], "target": ["setosa", "rose"]}).to_parquet(path)
    rejects = tmp_path / "elsewhere.csv"
    assert main([str(path), "--model", "iris", "--rejects", str(rejects)]) == 0
    assert f"2 rows: 1 matched, 0 unknown, 1 malformed (see {rejects})" in capsys.readouterr().out
    assert stored(store, "p000000", "p000001", model="iris") == {"p000000": "setosa"}
    assert rejects.read_text().startswith("row,reason,prediction_id")
    assert "2,target is none of the model's classes" in rejects.read_text().replace('"', "")


def test_rejects_that_were_put_right_are_imported_and_an_old_reject_file_goes(
    store: EventStore, tmp_path: Path
) -> None:
    add_trips(store, 2)
    path = written(tmp_path, "p000000,1", "p000001,two")
    assert main([str(path)]) == 0
    rejects = path.with_name(f"{path.name}.rejected.csv")
    repaired = tmp_path / "repaired.csv"
    repaired.write_text(rejects.read_text().replace("p000001,two", "p000001,2"))
    assert main([str(repaired)]) == 0
    assert stored(store, "p000001") == {"p000001": 2.0}

    written(tmp_path, "p000000,1")
    assert main([str(path)]) == 0
    assert not rejects.exists()


def test_a_file_of_several_parts_is_stored_whole(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(target_steps, "CHUNK", 100)
    monkeypatch.setattr(target_steps, "PART", 300)
    predictions = add_trips(store, 1_050)
    path = written(tmp_path, *(f"{prediction.prediction_id},{n}" for n, prediction in enumerate(predictions)))
    assert main([str(path)]) == 0
    assert "1,050 rows: 1,050 matched, 0 unknown, 0 malformed\n" in capsys.readouterr().out
    found = stored(store, *(prediction.prediction_id for prediction in predictions))
    assert sorted(found.values()) == [float(n) for n in range(1_050)]


def test_a_file_that_breaks_off_stores_nothing(
    store: EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 1)
    path = tmp_path / "targets.csv"
    path.write_bytes(b"prediction_id,target\n" + b"p000000,1\n" * 20_000 + b"\xff\n")
    assert main([str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"import-targets: {path} is not UTF-8 text")
    assert len(said.splitlines()) == 1
    assert stored(store, "p000000") == {}


def test_rejects_that_cannot_be_written_store_nothing(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> tuple[int, str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sextant.contracts.files.tempfile.mkstemp", full)
    path = written(tmp_path, "p000000,1", "p000001,?")
    assert main([str(path)]) == 1
    assert "rejected.csv: No space left on device" in capsys.readouterr().err
    assert stored(store, "p000000") == {}


@pytest.mark.usefixtures("store")
def test_a_file_without_rows_completes_and_one_without_a_usable_row_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path))]) == 0
    assert "has no rows, so nothing was imported" in capsys.readouterr().out
    assert main([str(written(tmp_path, "a,b", "c,d"))]) == 1
    assert "2 rows: 0 matched, 0 unknown, 2 malformed (see" in capsys.readouterr().err


def test_a_stored_document_that_is_no_target_is_replaced_by_the_imported_one(
    services: Services, store: EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trips(store, 1)
    with closing(MongoClient(services.mongodb_uri)) as client:
        client.sextant.targets.insert_one({"_id": "p000000", "value": 3})
    assert main([str(written(tmp_path, "p000000,1"))]) == 0
    assert "1 matched" in capsys.readouterr().out
    assert stored(store, "p000000") == {"p000000": 1.0}


def test_without_mongodb_the_import_fails_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, "p000000,1"))]) == 1
    said = capsys.readouterr().err
    assert said.startswith("import-targets: MongoDB: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ("", [], "is empty"),
        ("id,target\na,1\n", [], "has no column prediction_id"),
        ("prediction_id,target\n", ["--model", "unicorn"], "there is no model 'unicorn'"),
        ("prediction_id,target\n", ["--rejects", "/nowhere/rejects.csv"], "there is no folder /nowhere"),
        (None, [], "cannot read"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(
    content: str | None, options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "targets.csv"
    if content is not None:
        path.write_text(content)
    assert main([str(path), *options]) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
