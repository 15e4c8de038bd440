"""The workers' metrics are in memory where there is some, in a folder of their own."""

import os
from pathlib import Path

import pytest

from prediction_service import metrics_folder
from prediction_service.metrics_folder import MetricsFolder, make_metrics_folder
from sextant.infrastructure.settings import Settings


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "shm"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def killed(service: MetricsFolder) -> MetricsFolder:
    """What a service leaves whose processes are gone."""
    assert service.lock is not None
    os.close(service.lock)
    (service.path / "counter_1.db").touch()
    return service


def test_it_is_empty_at_every_start_and_nobody_else_can_read_it(settings: Settings, memory: Path) -> None:
    first = killed(make_metrics_folder(settings, memory)).path
    again = make_metrics_folder(settings, memory)
    assert again.path == first
    assert first.parent == memory
    assert list(first.iterdir()) == []
    assert first.stat().st_mode & 0o777 == 0o700
    killed(again)


def test_services_share_none_and_what_killed_ones_left_is_removed(
    settings: Settings, memory: Path, tmp_path: Path
) -> None:
    others = [Settings(data_dir=tmp_path / "other"), Settings(data_dir=tmp_path / "data", prediction_port=9_999)]
    alive, dead = (make_metrics_folder(each, memory) for each in others)
    killed(dead)
    for found in (alive, dead):
        os.utime(found.path, (0, 0))
    mine = make_metrics_folder(settings, memory)
    assert set(memory.iterdir()) == {alive.path, mine.path}
    for found in (alive, mine):
        killed(found)


def test_a_second_start_leaves_the_folder_of_the_running_service_alone(settings: Settings, memory: Path) -> None:
    running = make_metrics_folder(settings, memory)
    (running.path / "counter_1.db").touch()
    assert make_metrics_folder(settings, memory).path == settings.data_dir / "metrics" / "prediction-9696"
    assert (running.path / "counter_1.db").exists()
    killed(running)


def test_without_room_in_memory_it_is_in_the_data_folder(
    settings: Settings, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = killed(make_metrics_folder(settings, memory)).path
    (taken / "counter_1.db").unlink()
    taken.rmdir()
    taken.write_text("of another user")
    monkeypatch.setattr(metrics_folder.shutil, "rmtree", lambda *_, **__: None)
    on_disk = settings.data_dir / "metrics" / "prediction-9696"
    assert make_metrics_folder(settings, memory) == MetricsFolder(on_disk)
    on_disk.rmdir()
    assert make_metrics_folder(settings, memory / "missing") == MetricsFolder(on_disk)
    on_disk.rmdir()
    taken.unlink()
    monkeypatch.setattr(metrics_folder, "ROOM_BYTES", 1 << 60)
    assert make_metrics_folder(settings, memory) == MetricsFolder(on_disk)
