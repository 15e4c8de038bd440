"""What an import of targets makes of files and rows, before anything is stored."""

import csv
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batch_flows.import_targets.file import Row, open_target_file
from batch_flows.import_targets.merge import ImportRules, Outcome, as_target, outcome_of
from batch_flows.import_targets.rejects import reject_path, remove_reject_file, write_reject_file
from batch_flows.import_targets.rows import CheckedRow, check_row
from batch_flows.import_targets.staging import RejectedRow, Staging, staging_path
from batch_flows.import_targets.summary import ImportSummary
from sextant.contracts.errors import Rejected, Retryable
from sextant.contracts.events import Target
from sextant.contracts.model_bundle import Manifest
from tests.bundles import publish_flowers, publish_trips

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return publish_trips(tmp_path_factory.mktemp("models"), rows=10).manifest


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return publish_flowers(tmp_path_factory.mktemp("models"), rows=30).manifest


def written(folder: Path, content: str | bytes, name: str = "targets.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, content: str | bytes) -> list[tuple[int, str, str]]:
    rows = open_target_file(written(folder, content)).rows()
    return [(row.line, row.prediction_id, row.problem or row.target) for row in rows]


# --- CSV ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "prediction_id,target\na,1.5\nb,2\n",
        "\ufeffprediction_id,target\r\na,1.5\r\nb,2\r\n",
        "prediction_id;target\na;1.5\nb;2",
        "prediction_id\ttarget\na\t1.5\nb\t2\n",
        "prediction_id,target\ra,1.5\rb,2\r",
        '"prediction_id","target"\n"a","1.5"\n"b","2"\n',
        " Prediction_ID , Target \n a , 1.5 \n b , 2 \n",
        "prediction_id,target\na,1.5,\nb,2,,\n",
    ],
)
def test_the_dialects_that_tools_write_are_read_alike(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == [(2, "a", "1.5"), (3, "b", "2")]


def test_empty_lines_are_left_out_and_counted_as_lines(tmp_path: Path) -> None:
    assert read(tmp_path, "\nprediction_id,target\n\na,1\n , \n\nb,2\n") == [(4, "a", "1"), (7, "b", "2")]


def test_further_columns_are_read_or_named_as_ignored_in_any_order(tmp_path: Path) -> None:
    content = "note,target,received_at,prediction_id,model\nx,1,2026-03-01T08:00:00Z,a,taxi\n"
    file = open_target_file(written(tmp_path, content))
    assert list(file.rows()) == [Row(2, "a", "1", "taxi", "2026-03-01T08:00:00Z")]
    assert file.ignored == ["note"]


def test_a_row_with_too_many_or_too_few_fields_is_a_problem_and_its_neighbours_are_not(tmp_path: Path) -> None:
    rows = read(tmp_path, "prediction_id,target\na,12,5\nb\nc,3\n")
    assert rows == [
        (2, "a", "has 3 fields where the header has 2"),
        (3, "b", "has 1 field where the header has 2"),
        (4, "c", "3"),
    ]


def test_a_quoted_line_break_in_an_ignored_column_does_not_disturb_the_line_numbers(tmp_path: Path) -> None:
    rows = read(tmp_path, 'prediction_id,target,note\na,1,"two\nlines"\nb,2,\n')
    assert rows == [(2, "a", "1"), (4, "b", "2")]


def test_a_quote_that_is_not_closed_is_a_problem_that_says_how_far_it_runs(tmp_path: Path) -> None:
    rows = read(tmp_path, 'prediction_id,target\na,"1\nb,2\nc,3\n')
    assert [(line, identifier) for line, identifier, _ in rows] == [(2, "a")]
    assert "runs on to line 4: is a quote not closed?" in rows[0][2]


def test_a_field_without_end_is_a_problem_and_reading_goes_on(tmp_path: Path) -> None:
    rows = read(tmp_path, f"prediction_id,target\na,{'9' * 200_000}\nb,2\n")
    assert (rows[0][0], rows[1]) == (2, (3, "b", "2"))
    assert "is no line of CSV" in rows[0][2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty; its first line must name the columns"),
        ("a,1\nb,2\n", "has no column prediction_id or target: it names 'a', '1' in its first line"),
        ("prediction_id,label\na,1\n", "has no column target: it names 'prediction_id', 'label'"),
        ("prediction_id,target,target\na,1,1\n", "more than one column named target"),
        ("prediction_id,target\na,1\n".encode("utf-16"), "is not UTF-8 text (it has a byte 0xff)"),
        ("prediction_id,target,note\na,1,caf\xe9\n".encode("latin-1"), "is not UTF-8 text (it has a byte 0xe9)"),
        (b"\x00\x01\x02\x03" * 100, "has no column"),
    ],
)
def test_a_file_that_cannot_hold_targets_is_refused_in_one_sentence(
    tmp_path: Path, content: str | bytes, reason: str
) -> None:
    with pytest.raises(Rejected) as refused:
        read(tmp_path, content)
    assert reason in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_missing_file_a_folder_and_a_false_parquet_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"cannot read .*none\.csv: No such file"):
        open_target_file(tmp_path / "none.csv")
    with pytest.raises(Rejected, match="is a folder"):
        open_target_file(tmp_path)
    with pytest.raises(Rejected, match="is not a Parquet file"):
        open_target_file(written(tmp_path, "prediction_id,target\n", "targets.parquet"))
    with pytest.raises(Rejected, match="is not a readable Parquet file"):
        open_target_file(written(tmp_path, b"PAR1 and nothing more", "targets.parquet"))


# --- Parquet -----------------------------------------------------------------------------------------------


def parquet(folder: Path, **columns: Any) -> Path:
    path = folder / "targets.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def test_parquet_is_read_in_rows_whatever_the_types_of_its_columns(tmp_path: Path) -> None:
    times = pd.to_datetime(["2026-03-01T08:00:00.123456789Z", None])
    path = parquet(tmp_path, prediction_id=[7, 8], target=[1.5, None], received_at=times, note=["x", "y"])
    file = open_target_file(path)
    assert (file.counted_in, file.ignored) == ("row", ["note"])
    first, second = file.rows()
    assert (first.line, first.prediction_id, first.target) == (1, "7", "1.5")
    assert datetime.fromisoformat(first.received_at).replace(microsecond=0) == NOW.replace(hour=8)
    assert (second.line, second.prediction_id, second.target in {"", "nan"}) == (2, "8", True)


def test_the_type_of_a_file_is_told_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    path = parquet(tmp_path, prediction_id=["a"], target=["setosa"]).rename(tmp_path / "targets.csv")
    assert [row.target for row in open_target_file(path).rows()] == ["setosa"]


def test_parquet_without_a_needed_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"has no column target: it names 'prediction_id', 'y'$"):
        open_target_file(parquet(tmp_path, prediction_id=["a"], y=[1]))


def test_parquet_damaged_in_the_middle_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = parquet(
        tmp_path, prediction_id=[f"p{n}" for n in range(20_000)], target=[float(n) for n in range(20_000)]
    )
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    with pytest.raises(Rejected, match=r"^(cannot read|.* is damaged after row)[^\n]*$"):
        list(open_target_file(written(tmp_path, bytes(content), "targets.parquet")).rows())


# --- rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "number"), [("12", 12.0), ("-1.5e3", -1500.0), ("0", 0.0)])
def test_a_regression_target_is_a_finite_number(trips: Manifest, text: str, number: float) -> None:
    assert check_row(Row(2, "a", text), trips, NOW) == CheckedRow(2, "a", number, None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row(2, "", "1"), "prediction_id is empty"),
        (Row(2, "a b", "1"), "prediction_id is not 1 to 128 visible ASCII characters: 'a b'"),
        (Row(2, "a" * 129, "1"), "prediction_id is not 1 to 128"),
        (Row(2, "a", ""), "target is empty"),
        (Row(2, "a", "nan"), "target is not finite: 'nan'"),
        (Row(2, "a", "1e999"), "target is not finite: '1e999'"),
        (Row(2, "a", "12,5"), "target is not a number: '12,5'; decimals follow a point"),
        (Row(2, "a", "1_000"), "target is not a number: '1_000'"),
        (Row(2, "a", "True"), "target is not a number: 'True'"),
        (Row(2, "a", "1", "iris"), "model is 'iris', and the import is for taxi"),
        (Row(2, "a", "1", "", "yesterday"), "received_at is not an ISO 8601 time: 'yesterday'"),
        (Row(2, "a", "1", "", "2026-03-01T08:00:00"), "received_at has no time zone"),
        (Row(2, "a", "1", "", LATER.isoformat()), "received_at lies in the future"),
        (Row(2, "a", "1", "", "0001-01-01T00:00:00+14:00"), "received_at is not an ISO 8601 time"),
        (Row(2, problem="has 1 field where the header has 2"), "has 1 field"),
    ],
)
def test_a_malformed_row_has_a_reason_that_names_the_value(trips: Manifest, row: Row, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_row(row, trips, NOW)


def test_a_received_at_is_taken_in_utc_at_mongodbs_resolution(trips: Manifest) -> None:
    checked = check_row(Row(2, "a", "1", "taxi", "2026-03-01T09:00:00.123456+01:00"), trips, NOW)
    assert checked.received_at == datetime(2026, 3, 1, 8, 0, 0, 123_000, tzinfo=UTC)


def test_a_class_is_one_of_the_models_own(flowers: Manifest) -> None:
    assert check_row(Row(2, "a", "setosa"), flowers, NOW).target == "setosa"
    with pytest.raises(ValueError, match=r"none of the model's classes \(setosa, versicolor, virginica\): 'rose'"):
        check_row(Row(2, "a", "rose"), flowers, NOW)


def test_a_class_that_is_a_whole_number_may_be_written_with_decimals(flowers: Manifest) -> None:
    numbered = flowers.model_copy(update={"classes": ("0", "1", "2")})
    assert [check_row(Row(2, "a", text), numbered, NOW).target for text in ("2", "2.0")] == ["2", "2"]
    with pytest.raises(ValueError, match="none of the model's classes"):
        check_row(Row(2, "a", "2.5"), numbered, NOW)


# --- what becomes of a row ---------------------------------------------------------------------------------


def judged(
    row_time: datetime | None, stored: tuple[float, datetime] | None, *, matched: bool = True, **rules: bool
) -> Outcome:
    target = Target("a", "taxi", stored[0], stored[1]) if stored else None
    return outcome_of(
        CheckedRow(2, "a", 5.0, row_time), target, ImportRules("taxi", NOW, **rules), matched=matched
    )


def test_a_target_that_is_not_stored_is_added_received_now_or_when_it_says() -> None:
    rules = ImportRules("taxi", NOW)
    assert judged(None, None) is Outcome.ADDED
    assert as_target(CheckedRow(2, "a", 5.0, None), rules) == Target("a", "taxi", 5.0, NOW)
    assert as_target(CheckedRow(2, "a", 5.0, EARLIER), rules).received_at == EARLIER


@pytest.mark.parametrize("row_time", [None, EARLIER, NOW])
@pytest.mark.parametrize("replace", [True, False])
def test_an_equal_stored_target_is_never_written_again(row_time: datetime | None, replace: bool) -> None:
    assert judged(row_time, (5.0, EARLIER), replace=replace) is Outcome.SAME


def test_of_two_values_the_one_received_later_counts() -> None:
    assert judged(NOW, (4.0, EARLIER)) is Outcome.REPLACED
    assert judged(EARLIER, (4.0, NOW)) is Outcome.LEFT
    assert judged(NOW, (4.0, NOW)) is Outcome.LEFT


def test_a_row_without_a_time_replaces_another_value_only_when_told_to() -> None:
    assert judged(None, (4.0, EARLIER)) is Outcome.LEFT
    assert judged(None, (4.0, EARLIER), replace=True) is Outcome.REPLACED
    assert judged(None, (4.0, LATER), replace=True) is Outcome.LEFT  # feedback that came while the import ran
    assert judged(EARLIER, (4.0, NOW), replace=True) is Outcome.LEFT


def test_a_target_of_an_unknown_prediction_is_kept_for_it_or_left_out_when_told_to() -> None:
    assert judged(None, None, matched=False) is Outcome.ADDED
    assert judged(None, None, matched=False, skip_unknown=True) is Outcome.SKIPPED
    assert judged(None, None, skip_unknown=True) is Outcome.ADDED


# --- staging and rejects -----------------------------------------------------------------------------------


def test_of_repeated_rows_the_last_counts_and_of_timed_ones_the_latest(tmp_path: Path) -> None:
    with Staging(tmp_path / "rows.db") as staging:
        staging.add([CheckedRow(2, "a", 1.0, None), CheckedRow(3, "b", 1.0, NOW), CheckedRow(4, "c", "x", None)])
        staging.add([CheckedRow(5, "a", 2.0, None), CheckedRow(6, "b", 2.0, EARLIER)])
        assert staging.targets == 3
        assert staging.chunk(0, 2) == [CheckedRow(5, "a", 2.0, None), CheckedRow(3, "b", 1.0, NOW)]
        assert staging.chunk(2, 2) == [CheckedRow(4, "c", "x", None)]


def test_rejects_come_in_the_order_of_the_file_and_once_however_often_they_are_given(tmp_path: Path) -> None:
    late = RejectedRow.of_checked(CheckedRow(3, "b", 2.0, NOW), "is a prediction of iris")
    with Staging(tmp_path / "rows.db") as staging:
        staging.reject([RejectedRow.of_row(Row(9, "z", "?"), "target is not a number")])
        staging.reject([late])
        staging.reject([late])
        assert staging.rejected == 2
        assert [row[0] for row in staging.rejects()] == [3, 9]


def test_a_temporary_folder_that_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(Retryable, match="cannot use a temporary folder: No such file"), staging_path():
        pass


def test_a_full_temporary_folder_is_one_sentence_and_leaves_nothing() -> None:
    with (
        pytest.raises(Retryable, match=r"cannot keep rows in .*: database or disk is full"),
        staging_path() as path,
    ):
        with Staging(path) as staging:
            staging._db.execute("PRAGMA max_page_count = 8")
            staging.add(CheckedRow(n, f"p{n}", 1.0, None) for n in range(10_000))
    assert not path.parent.exists()


def test_the_reject_file_lies_beside_the_input_and_can_be_imported_once_it_is_right(tmp_path: Path) -> None:
    path = written(tmp_path, "prediction_id,target\n")
    rejects = reject_path(path, None)
    assert rejects == tmp_path / "targets.csv.rejected.csv"
    write_reject_file(rejects, [(3, "target is not a number: 'x, y'", "a", "x, y", "", "")], "line")
    with rejects.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["line"], row["prediction_id"], row["target"]) == ("3", "a", "x, y")
    assert [row.target for row in open_target_file(rejects).rows()] == ["x, y"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["targets.csv", "targets.csv.rejected.csv"]


def test_only_a_reject_file_is_overwritten_or_removed(tmp_path: Path) -> None:
    path = written(tmp_path, "prediction_id,target\n")
    precious = written(tmp_path, "precious\n", "other.csv")
    for wrong in (precious, path):
        with pytest.raises(Rejected, match="is no reject file"):
            reject_path(path, wrong)
    with pytest.raises(Rejected, match="there is no folder"):
        reject_path(path, tmp_path / "none" / "rejects.csv")
    remove_reject_file(precious)
    assert precious.read_text() == "precious\n"

    ours = tmp_path / "rejects.csv"
    write_reject_file(ours, [], "row")
    assert reject_path(path, ours) == ours
    remove_reject_file(ours)
    assert not ours.exists()


def test_rejects_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "rejects.csv").mkdir()
    with pytest.raises(Retryable, match=r"could not write .*rejects\.csv: Is a directory"):
        write_reject_file(tmp_path / "rejects.csv", [], "line")
    assert [entry.name for entry in tmp_path.iterdir()] == ["rejects.csv"]


# --- summary -----------------------------------------------------------------------------------------------


def summary(**changes: Any) -> ImportSummary:
    counts = Counter(
        {("matched", Outcome.ADDED): 11_590, ("matched", Outcome.SAME): 300, ("unknown", Outcome.ADDED): 80}
    )
    facts = {"rows": 12_000, "malformed": 20, "repeated": 10, "counts": counts, "rejects": Path("r.csv")}
    return ImportSummary(**{"path": Path("t.csv"), "model": "taxi", **facts, **changes})


def test_the_sentence_has_every_count() -> None:
    assert summary().sentence() == (
        "12,000 rows: 11,890 matched (300 already there), 80 unknown, 20 malformed (see r.csv), "
        "10 repeated in the file"
    )
    assert summary(malformed=0, repeated=0, ignored_columns=["note"]).sentence() == (
        "12,000 rows: 11,890 matched (300 already there), 80 unknown, 0 malformed; ignored columns: note"
    )


def test_the_counts_add_up_and_show_in_table_and_markdown() -> None:
    found = summary()
    assert found.rows == found.matched + found.unknown + found.malformed + found.repeated
    assert sum(line["count"] for line in found.table()) == found.rows
    assert (found.usable, found.written) == (11_970, 11_670)
    assert "| matched | added | 11,590 |" in found.markdown()


def test_unknown_rows_that_were_left_out_are_not_usable() -> None:
    found = summary(counts=Counter({("unknown", Outcome.SKIPPED): 80}))
    assert found.usable == 0
    assert "80 unknown (80 left out)" in found.sentence()
