"""The workers' metrics are in memory where there is some, in a folder of their own."""

from pathlib import Path

import pytest

from prediction_service import metrics_folder
from prediction_service.metrics_folder import make_metrics_folder
from sextant.infrastructure.settings import Settings


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "shm"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def test_it_is_empty_at_every_start_and_nobody_else_can_read_it(settings: Settings, memory: Path) -> None:
    first = make_metrics_folder(settings, memory)
    (first / "counter_1.db").touch()
    again = make_metrics_folder(settings, memory)
    assert again == first
    assert first.parent == memory
    assert list(again.iterdir()) == []
    assert again.stat().st_mode & 0o777 == 0o700


def test_services_share_none(settings: Settings, memory: Path, tmp_path: Path) -> None:
    others = [Settings(data_dir=tmp_path / "other"), Settings(data_dir=tmp_path / "data", prediction_port=9_999)]
    assert len({make_metrics_folder(each, memory) for each in (settings, *others)}) == 3


def test_without_room_in_memory_it_is_in_the_data_folder(
    settings: Settings, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = make_metrics_folder(settings, memory)
    taken.rmdir()
    taken.write_text("of another user")
    on_disk = settings.data_dir / "metrics" / "prediction-9696"
    assert make_metrics_folder(settings, memory) == on_disk
    assert make_metrics_folder(settings, memory / "missing") == on_disk
    taken.unlink()
    monkeypatch.setattr(metrics_folder, "ROOM_BYTES", 1 << 60)
    assert make_metrics_folder(settings, memory) == on_disk
