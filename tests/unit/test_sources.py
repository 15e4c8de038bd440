"""Where trips come from: folders, the TLC's site (a local one here) and the fall back to made-up months."""

from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest

from sextant.use_cases import taxi_months
from sextant.use_cases.download import RetryPolicy
from sextant.use_cases.iris import open_source as open_iris
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.taxi_months import open_source
from sextant.use_cases.use_case import Source, SourceError, SourceRequest
from tests.file_server import FileServer

NO_SERVER = "http://127.0.0.1:9"


def write_months(folder: Path, *months: str) -> Path:
    folder.mkdir(exist_ok=True)
    for month in months:
        synthetic_month(month, rows=20).to_parquet(folder / f"green_tripdata_{month}.parquet")
    return folder


def opened(source: str | Path, tmp_path: Path, **periods: str) -> Source:
    return open_source(SourceRequest(str(source), tmp_path / "raw", **periods))


def test_in_a_folder_the_earliest_month_is_the_reference_and_the_latest_the_traffic(tmp_path: Path) -> None:
    folder = write_months(tmp_path / "months", "2022-03", "2021-01", "2023-01")
    (folder / "notes.txt").write_text("not a month")
    source = opened(folder, tmp_path)
    assert (source.reference_period, source.traffic_period) == ("2021-01", "2023-01")
    pd.testing.assert_frame_equal(
        source.traffic(), synthetic_month("2023-01", rows=20)[source.traffic().columns.tolist()]
    )


def test_months_of_a_folder_can_be_chosen(tmp_path: Path) -> None:
    folder = write_months(tmp_path / "months", "2021-01", "2022-03", "2023-01")
    source = opened(folder, tmp_path, reference="2022-03", traffic="2021-01")
    assert (source.reference_period, source.traffic_period) == ("2022-03", "2021-01")


def test_a_month_that_a_folder_lacks_is_answered_with_those_that_it_has(tmp_path: Path) -> None:
    folder = write_months(tmp_path / "months", "2021-01", "2022-03")
    with pytest.raises(SourceError, match=r"2024-01\.parquet.*2021-01, 2022-03"):
        opened(folder, tmp_path, reference="2024-01")


def test_a_single_month_can_be_learned_from_but_not_replayed_as_traffic(tmp_path: Path) -> None:
    source = opened(write_months(tmp_path / "months", "2021-01"), tmp_path)
    assert len(source.reference()) == 20
    with pytest.raises(SourceError, match="reference-holdout"):
        source.traffic()


def test_a_folder_without_months_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no green_tripdata_YYYY-MM"):
        opened(tmp_path, tmp_path)


def test_a_source_that_is_neither_known_nor_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither auto, tlc, synthetic nor a folder"):
        opened(tmp_path / "nowhere", tmp_path)


def test_a_month_that_is_none_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="YYYY-MM"):
        opened("tlc", tmp_path, reference="2021-13")


@pytest.mark.parametrize("damage", [b"", b"not parquet at all", b"PAR1 hardly PAR1"])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, damage: bytes) -> None:
    folder = write_months(tmp_path / "months", "2021-01")
    (folder / "green_tripdata_2021-01.parquet").write_bytes(damage)
    with pytest.raises(SourceError, match=r"2021-01\.parquet cannot be read"):
        opened(folder, tmp_path).reference()


def test_a_month_without_a_needed_column_is_named(tmp_path: Path) -> None:
    folder = write_months(tmp_path / "months", "2021-01")
    pd.DataFrame({"PULocationID": [1]}).to_parquet(folder / "green_tripdata_2021-01.parquet")
    with pytest.raises(SourceError, match="cannot be read as a month"):
        opened(folder, tmp_path).reference()


def test_real_months_are_downloaded_into_the_raw_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def month(name: str) -> bytes:
        stream = BytesIO()
        synthetic_month(name, rows=20).to_parquet(stream)
        return stream.getvalue()

    files = {f"green_tripdata_{name}.parquet": month(name) for name in ("2021-01", "2022-01")}
    with FileServer(files).running() as server:
        monkeypatch.setattr(taxi_months, "TLC_URL", server.url)
        source = opened("auto", tmp_path)
    assert source.name == "tlc"
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == sorted(files)
    assert len(source.reference()) == len(source.traffic()) == 20


def test_auto_falls_back_to_made_up_months_in_one_loud_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taxi_months, "TLC_URL", NO_SERVER)
    said: list[str] = []
    source = open_source(SourceRequest("auto", tmp_path / "raw", say=said.append))
    assert source.name == "synthetic"
    assert len(said) == 1
    assert "SYNTHETIC" in said[0]
    assert "\n" not in said[0]


def test_tlc_without_a_network_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taxi_months, "TLC_URL", NO_SERVER)
    monkeypatch.setattr(taxi_months, "PERSISTENT", RetryPolicy(1, 1, 1, 0))
    with pytest.raises(SourceError, match=r"cannot be downloaded \(no connection"):
        opened("tlc", tmp_path)


def test_iris_has_no_other_source_than_its_own(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="comes with scikit-learn"):
        open_iris(SourceRequest("tlc", tmp_path))
    source = open_iris(SourceRequest("auto", tmp_path))
    assert not source.reference().equals(source.traffic())
    assert set(source.reference()["species"]) == {"setosa", "versicolor", "virginica"}
