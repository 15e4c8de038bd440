"""Files of targets, CSV and Parquet, as rows of text; who checks the rows is another matter."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sextant.contracts.errors import Rejected
from sextant.contracts.target_rows import TargetRow
from sextant.infrastructure.target_files import open_target_file


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
    assert list(file.rows()) == [TargetRow(2, "a", "1", "taxi", "2026-03-01T08:00:00Z")]
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
        ("a,1\nb,2\n", "has no column prediction_id or target in its first line"),
        ("prediction_id,label\na,1\n", "has no column target in its first line"),
        ("prediction_id,target,target\na,1,1\n", "more than one column named target"),
        ("prediction_id,target\na,1\n".encode("utf-16"), "is not UTF-8 text; save it as UTF-8"),
        ("prediction_id,target,note\na,1,caf\xe9\n".encode("latin-1"), "is not UTF-8 text; save it as UTF-8"),
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
    assert datetime.fromisoformat(first.received_at).replace(microsecond=0) == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert (second.line, second.prediction_id, second.target in {"", "nan"}) == (2, "8", True)


def test_the_type_of_a_file_is_told_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    path = parquet(tmp_path, prediction_id=["a"], target=["setosa"]).rename(tmp_path / "targets.csv")
    assert [row.target for row in open_target_file(path).rows()] == ["setosa"]


def test_parquet_without_a_needed_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"has no column target$"):
        open_target_file(parquet(tmp_path, prediction_id=["a"], y=[1]))


def test_parquet_damaged_in_the_middle_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = parquet(
        tmp_path, prediction_id=[f"p{n}" for n in range(20_000)], target=[float(n) for n in range(20_000)]
    )
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    with pytest.raises(Rejected, match=r"^(cannot read|.* is damaged after row)[^\n]*$"):
        list(open_target_file(written(tmp_path, bytes(content), "targets.parquet")).rows())
