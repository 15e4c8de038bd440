"""Compiles shim.c where there is a compiler, and says to the processes that loaded it what should go wrong."""

import mmap
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

SOURCE = Path(__file__).with_name("shim.c")
SIZE = 24
CLOCK_OFFSET, SYNCS_FAIL, CHANGES_UNTIL_DEATH, SYNCS_FAILED = (0, "q"), (8, "i"), (12, "i"), (16, "i")
Place = tuple[int, str]


class Shim:
    """The library that a process loads, and the memory that all of them share with us."""

    def __init__(self, library: Path, control: Path, outbox_folder: Path) -> None:
        control.write_bytes(bytes(SIZE))
        with control.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), SIZE)
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "CHAOS_CONTROL": str(control),
            "CHAOS_FOLDER": str(outbox_folder),
        }

    @classmethod
    def built(cls, folder: Path, outbox_folder: Path) -> Self | None:
        """Compile it into a folder; None where that is not possible."""
        compiler = shutil.which("gcc") or shutil.which("cc")
        library = folder / "shim.so"
        command = [compiler or "", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
        if not compiler or subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        return cls(library, folder / "shim.control", outbox_folder)

    def jump(self, seconds: float) -> None:
        """Shift the wall clock of all processes that loaded it; 0: the true time."""
        self._set(CLOCK_OFFSET, int(seconds * 1e9))

    def fail_syncs(self, failing: bool) -> None:
        """Let every sync of the outbox's files fail with EIO, or no longer."""
        self._set(SYNCS_FAIL, int(failing))

    @property
    def syncs_failed(self) -> int:
        """How many syncs have failed so far."""
        return self._get(SYNCS_FAILED)

    def die_at_change(self, number: int) -> None:
        """Kill whoever is about to make the n-th renaming or deletion in the outbox's folder; 0: nobody."""
        self._set(CHANGES_UNTIL_DEATH, number)

    @property
    def changes_until_death(self) -> int:
        """How many changes are left; 0 when somebody died."""
        return self._get(CHANGES_UNTIL_DEATH)

    def _set(self, place: Place, value: int) -> None:
        struct.pack_into(place[1], self._memory, place[0], value)

    def _get(self, place: Place) -> int:
        found: int = struct.unpack_from(place[1], self._memory, place[0])[0]
        return found
