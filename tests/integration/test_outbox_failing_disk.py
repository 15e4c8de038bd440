"""An outbox on a real file system whose disk fails to write for a while, and then a power cut."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from prediction_service import outbox_connection
from prediction_service.errors import OutboxFull, OutboxUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_types import NewEvent
from tests.processes import wait_until

LIMIT = 1 << 30
BODY = b"x" * 2_000


@dataclass(frozen=True)
class Disk:
    """An ext4 file system in an image on a small memory disk, which `ballast` fills."""

    image: Path
    mounted: Path
    ballast: Path

    def fill(self) -> None:
        """Leave no room behind the file system, which does not know of it: its writes fail."""
        with self.ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4_096):
                    pass
            except OSError:
                pass

    def free(self) -> None:
        self.ballast.unlink()


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@contextmanager
def mounted(*options: object, at: Path) -> Iterator[Path]:
    at.mkdir()
    try:
        run("mount", *options, at)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    try:
        yield at
    finally:
        run("umount", "--lazy", at)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Larger than the memory below it."""
    with ext4(tmp_path, "64m") as disk:
        yield disk


@pytest.fixture
def sound_disk(tmp_path: Path) -> Iterator[Disk]:
    """One that can keep what its file system takes."""
    with ext4(tmp_path, "16m") as disk:
        yield disk


@contextmanager
def ext4(tmp_path: Path, size: str) -> Iterator[Disk]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.ext4", "mount"))):
        pytest.skip("needs root and mkfs.ext4")
    with mounted("-t", "tmpfs", "-o", "size=32m", "tmpfs", at=tmp_path / "memory") as memory:
        image = memory / "image"
        run("truncate", "-s", size, image)
        # Data only: a journal that cannot be written would make the file system read-only for good.
        run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=0", image)
        with mounted("-o", "loop", image, at=tmp_path / "disk") as folder:
            yield Disk(image, folder, memory / "ballast")


def append_until(outbox: Outbox, start: int, count: int) -> tuple[list[bytes], int]:
    """The events that were acknowledged of this many attempts, and how many were refused."""
    acknowledged, refused = [], 0
    for number in range(start, start + count):
        body = f"{number:06}".encode() + BODY
        try:
            outbox.append([NewEvent("prediction", body)])
        except (OutboxFull, OutboxUnavailable):
            refused += 1
        else:
            acknowledged.append(body)
    return acknowledged, refused


def test_what_was_acknowledged_survives_a_disk_that_failed_and_a_power_cut(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_connection, "REPLACE_SECONDS", 0.01)
    outbox = Outbox(disk.mounted / "outbox.db", LIMIT)
    other = Outbox(disk.mounted / "outbox.db", LIMIT)
    acknowledged, refused = append_until(outbox, 0, 200)
    assert refused == 0
    disk.fill()
    later, refused = append_until(outbox, 1_000, 2_000)
    acknowledged += later
    assert refused > 0
    disk.free()

    def takes_again() -> bool:
        try:
            other.check_writable()
        except (OutboxFull, OutboxUnavailable):
            return False
        return True

    wait_until(takes_again, "the outbox to take events again")
    for process, start in ((other, 10_000), (outbox, 20_000)):
        later, refused = append_until(process, start, 200)
        acknowledged += later
        assert len(later) >= 199

    copy = tmp_path / "copy"
    run("cp", "--sparse=always", disk.image, copy)
    subprocess.run(["fsck.ext4", "-y", "-f", copy], check=False, capture_output=True)
    with mounted("-o", "loop", copy, at=tmp_path / "after the power cut") as folder:
        found = Outbox(folder / "outbox.db", LIMIT)
        stored = [event.body for event in found.queued("mongodb", 1 << 30)]
        found.close()
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))


def test_a_disk_without_room_is_noticed_before_anybody_asks_for_a_prediction(sound_disk: Disk) -> None:
    outbox = Outbox(sound_disk.mounted / "outbox.db", LIMIT)
    outbox.check_writable()
    with (sound_disk.mounted / "other").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4_096))
    with pytest.raises((OutboxFull, OutboxUnavailable)):
        for _ in range(100):  # the log may have room of its own for a few
            outbox.check_writable()
    (sound_disk.mounted / "other").unlink()
    outbox.append([NewEvent("prediction", BODY)])
