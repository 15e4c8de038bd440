"""What an import of targets decides, stages, rejects and says, before anything is stored."""

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_flows.import_targets.staging import (
    Staging,
    reject_path,
    remove_reject_file,
    staging_path,
    write_reject_file,
)
from batch_flows.import_targets.summary import ImportOutcome, ImportRules, ImportSummary, as_target, outcome_of
from sextant.contracts.errors import Rejected, Retryable
from sextant.contracts.events import Target
from sextant.contracts.target_rows import CheckedTarget, RejectedTarget, TargetRow
from sextant.infrastructure.target_files import open_target_file

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


def written(folder: Path, content: str, name: str = "targets.csv") -> Path:
    path = folder / name
    path.write_text(content)
    return path


# --- what becomes of a row ---------------------------------------------------------------------------------


def judged(
    row_time: datetime | None, stored: tuple[float, datetime] | None, *, matched: bool = True, **rules: bool
) -> ImportOutcome:
    target = Target("a", "taxi", stored[0], stored[1]) if stored else None
    return outcome_of(
        CheckedTarget(2, "a", 5.0, row_time), target, ImportRules("taxi", NOW, **rules), matched=matched
    )


def test_a_target_that_is_not_stored_is_added_received_now_or_when_it_says() -> None:
    rules = ImportRules("taxi", NOW)
    assert judged(None, None) is ImportOutcome.ADDED
    assert as_target(CheckedTarget(2, "a", 5.0, None), rules) == Target("a", "taxi", 5.0, NOW)
    assert as_target(CheckedTarget(2, "a", 5.0, EARLIER), rules).received_at == EARLIER


@pytest.mark.parametrize("row_time", [None, EARLIER, NOW])
@pytest.mark.parametrize("replace", [True, False])
def test_an_equal_stored_target_is_never_written_again(row_time: datetime | None, replace: bool) -> None:
    assert judged(row_time, (5.0, EARLIER), replace=replace) is ImportOutcome.SAME


def test_of_two_values_the_one_received_later_counts() -> None:
    assert judged(NOW, (4.0, EARLIER)) is ImportOutcome.REPLACED
    assert judged(EARLIER, (4.0, NOW)) is ImportOutcome.LEFT
    assert judged(NOW, (4.0, NOW)) is ImportOutcome.LEFT


def test_a_row_without_a_time_replaces_another_value_only_when_told_to() -> None:
    assert judged(None, (4.0, EARLIER)) is ImportOutcome.LEFT
    assert judged(None, (4.0, EARLIER), replace=True) is ImportOutcome.REPLACED
    assert (
        judged(None, (4.0, LATER), replace=True) is ImportOutcome.LEFT
    )  # feedback that came while the import ran
    assert judged(EARLIER, (4.0, NOW), replace=True) is ImportOutcome.LEFT


def test_a_target_of_an_unknown_prediction_is_kept_for_it_or_left_out_when_told_to() -> None:
    assert judged(None, None, matched=False) is ImportOutcome.ADDED
    assert judged(None, None, matched=False, skip_unknown=True) is ImportOutcome.SKIPPED
    assert judged(None, None, skip_unknown=True) is ImportOutcome.ADDED


# --- staging and rejects -----------------------------------------------------------------------------------


def test_of_repeated_rows_the_last_counts_and_of_timed_ones_the_latest(tmp_path: Path) -> None:
    with Staging(tmp_path / "rows.db") as staging:
        staging.add(
            [CheckedTarget(2, "a", 1.0, None), CheckedTarget(3, "b", 1.0, NOW), CheckedTarget(4, "c", "x", None)]
        )
        staging.add([CheckedTarget(5, "a", 2.0, None), CheckedTarget(6, "b", 2.0, EARLIER)])
        assert staging.targets == 3
        assert staging.chunk(0, 2) == [CheckedTarget(5, "a", 2.0, None), CheckedTarget(3, "b", 1.0, NOW)]
        assert staging.chunk(2, 2) == [CheckedTarget(4, "c", "x", None)]


def test_rejects_come_in_the_order_of_the_file_and_once_however_often_they_are_given(tmp_path: Path) -> None:
    late = RejectedTarget.of_checked(CheckedTarget(3, "b", 2.0, NOW), "is a prediction of iris")
    with Staging(tmp_path / "rows.db") as staging:
        staging.reject([RejectedTarget.of_row(TargetRow(9, "z", "?"), "target is not a number")])
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
            staging.add(CheckedTarget(n, f"p{n}", 1.0, None) for n in range(10_000))
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
        with pytest.raises(Rejected, match="is not a reject file"):
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
        {
            ("matched", ImportOutcome.ADDED): 11_590,
            ("matched", ImportOutcome.SAME): 300,
            ("unknown", ImportOutcome.ADDED): 80,
        }
    )
    facts = {"rows": 12_000, "malformed": 20, "repeated": 10, "counts": counts, "rejects": Path("r.csv")}
    return ImportSummary(**{"path": Path("t.csv"), "model": "taxi", **facts, **changes})


def test_the_sentence_has_every_count() -> None:
    assert summary().sentence() == (
        "12,000 rows: 11,890 matched (300 already there), 80 unknown, 20 malformed (see r.csv), "
        "10 repeated in the file"
    )
    assert summary(malformed=0, repeated=0, ignored_columns=["note"]).sentence() == (
        "12,000 rows: 11,890 matched (300 already there), 80 unknown, 0 malformed; 1 other column ignored"
    )


def test_the_counts_add_up_and_show_in_table_and_markdown() -> None:
    found = summary()
    assert found.rows == found.matched + found.unknown + found.malformed + found.repeated
    assert sum(line["count"] for line in found.table()) == found.rows
    assert (found.usable, found.written) == (11_970, 11_670)
    assert "| matched | added | 11,590 |" in found.markdown()


def test_unknown_rows_that_were_left_out_are_not_usable() -> None:
    found = summary(counts=Counter({("unknown", ImportOutcome.SKIPPED): 80}))
    assert found.usable == 0
    assert "80 unknown (80 left out)" in found.sentence()
