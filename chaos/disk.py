"""A disk that fills, fails and loses its power: ext4 in an image on a memory disk (needs root)."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

IMAGE_MEGABYTES = 64
MEMORY_MEGABYTES = 2 * IMAGE_MEGABYTES
BLOCK = 4_096
MKFS_OPTIONS = (
    *("-q", "-F", "-b", BLOCK, "-m", "0", "-J", "size=4"),
    *("-E", "lazy_itable_init=0,lazy_journal_init=0"),
)
PROGRAMS = ("losetup", "mount", "umount", "mkfs.ext4", "e2fsck", "fstrim")


class Disk:
    """An ext4 file system whose blocks are written only as far as the memory below it has room."""

    def __init__(self, memory: Path, copies: Path, folder: Path) -> None:
        """Mounted memory, a folder elsewhere for copies of the image, and where the disk is mounted."""
        self.folder = folder
        self._memory, self._copies = memory, copies
        self._image = memory / "image-0"
        self._cuts = 0

    @classmethod
    def made(cls, work: Path) -> Self | None:
        """Make and mount one; None where nothing can be mounted."""
        if os.geteuid() != 0 or not all(map(shutil.which, PROGRAMS)):
            return None
        disk = cls(work / "memory", work, work / "disk")
        try:
            disk._make()
        except (OSError, subprocess.CalledProcessError):
            disk.close()
            return None
        return disk

    def _make(self) -> None:
        for folder in (self._memory, self.folder):
            folder.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={MEMORY_MEGABYTES}m", "tmpfs", self._memory)
        empty = self._copies / "empty"
        _run("truncate", "-s", f"{IMAGE_MEGABYTES}m", empty)
        _run("mkfs.ext4", *MKFS_OPTIONS, empty)
        # All of the image takes up memory, until fail() gives back what holds no data: so the journal never fails,
        # which would make the file system read-only.
        _run("cp", "--sparse=never", empty, self._image)
        empty.unlink()
        self._mount()

    def _mount(self) -> None:
        device = _run("losetup", "--find", "--show", self._image).strip()
        try:
            # A request for one page is written or fails. Of a larger one that found room in part, Linux' loop
            # device says that it was written: such a disk lies, and nobody can promise anything on it.
            Path("/sys/block", Path(device).name, "queue/max_sectors_kb").write_text(str(BLOCK >> 10))
            # The journal is written when somebody syncs, and not of itself while the image is copied.
            _run("mount", "-o", "commit=300", device, self.folder)
        finally:
            _run("losetup", "--detach", device)  # once it is unmounted

    def fill(self) -> None:
        """Leave no room on it."""
        _take_all_room(self.folder / "ballast")

    def fail(self) -> None:
        """Let writes to blocks that held no data fail; the file system only learns it when it syncs."""
        _run("fstrim", self.folder)
        _take_all_room(self._memory / "ballast")

    def relieve(self) -> None:
        """End what fill() or fail() began."""
        for ballast in (self.folder / "ballast", self._memory / "ballast"):
            ballast.unlink(missing_ok=True)

    @property
    def is_read_only(self) -> bool:
        """Whether the file system gave itself up."""
        return bool(os.statvfs(self.folder).f_flag & os.ST_RDONLY)

    def cut_power(self) -> None:
        """Go on with what had reached the image, as after a power cut; nobody may have a file open on it."""
        self._cuts += 1
        copy, image = self._copies / "copy", self._memory / f"image-{self._cuts}"
        _run("cp", "--sparse=always", self._image, copy)
        self._unmount()
        self._image.unlink()
        subprocess.run(["e2fsck", "-p", "-f", str(copy)], check=False, capture_output=True)
        _run("cp", "--sparse=never", copy, image)
        copy.unlink()
        self._image = image
        self._mount()

    def _unmount(self) -> None:
        if subprocess.run(["umount", str(self.folder)], check=False, capture_output=True).returncode:
            _run("umount", "--lazy", self.folder)

    def close(self) -> None:
        """Unmount everything."""
        for mounted in (self.folder, self._memory):
            if os.path.ismount(mounted):
                subprocess.run(["umount", "--lazy", str(mounted)], check=False, capture_output=True)


class MemoryDisk:
    """A small memory disk that can only be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def made(cls, folder: Path, megabytes: int) -> Self | None:
        """Make and mount one; None where nothing can be mounted."""
        if os.geteuid() != 0 or not shutil.which("mount"):
            return None
        folder.mkdir(parents=True)
        try:
            _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)
        except (OSError, subprocess.CalledProcessError):
            return None
        return cls(folder)

    def fill(self) -> None:
        """Leave no room on it."""
        _take_all_room(self.folder / "ballast")

    def relieve(self) -> None:
        """Free it again."""
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)


def _take_all_room(ballast: Path) -> None:
    with ballast.open("ab") as file:
        for block in (1 << 20, 1 << 12):
            with suppress(OSError):  # no room is left
                while True:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, block)


def _run(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
