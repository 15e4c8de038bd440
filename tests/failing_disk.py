"""A model of a disk that fails: what is still there after a power cut."""

import errno
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Disk:
    """What a power cut leaves of each file, as Linux has it: what a failed sync could not write is forgotten."""

    failing: bool = False
    written: dict[int, bytes] = field(default_factory=dict)
    forgotten: dict[int, dict[int, int]] = field(default_factory=dict)
    """Bytes by inode and position, which no later sync writes unless they have changed."""
    kept_open: dict[int, int] = field(default_factory=dict)
    """Descriptors by inode, so that no other file is given the inode of one that was deleted."""

    def sync(self, descriptor: int) -> None:
        status, path = os.fstat(descriptor), os.readlink(f"/proc/self/fd/{descriptor}")
        if not Path(path).is_file():
            return
        if status.st_ino not in self.kept_open:
            self.kept_open[status.st_ino] = os.dup(descriptor)
        now, before = Path(path).read_bytes(), self.written.get(status.st_ino, b"")
        forgotten = self.forgotten.setdefault(status.st_ino, {})
        if self.failing:
            forgotten |= {i: byte for i, byte in enumerate(now) if i >= len(before) or byte != before[i]}
            raise OSError(errno.EIO, "Input/output error")
        found = bytearray(now)
        for i, byte in list(forgotten.items()):
            if i < len(found) and found[i] == byte:
                found[i] = before[i] if i < len(before) else 0
            else:
                del forgotten[i]
        self.written[status.st_ino] = bytes(found)

    def after_a_power_cut(self, folder: Path, elsewhere: Path) -> Path:
        """The files of a folder as they are found afterwards; those that were never synced here, as they are."""
        shutil.copytree(folder, elsewhere, ignore=shutil.ignore_patterns("*-shm"))
        for path in folder.iterdir():
            if path.stat().st_ino in self.written:
                (elsewhere / path.name).write_bytes(self.written[path.stat().st_ino])
        return elsewhere

    def restarted(self, folder: Path, elsewhere: Path) -> "Disk":
        """The disk after the power came back, with the files in another folder."""
        self.after_a_power_cut(folder, elsewhere)
        found = Disk()
        for path in elsewhere.iterdir():
            if path.is_file():
                found.written[path.stat().st_ino] = path.read_bytes()
        return found

    def close(self) -> None:
        """Close what was kept open."""
        for descriptor in self.kept_open.values():
            os.close(descriptor)
