"""Where SQLite's log ends, and how a write that the power cut short looks behind that end."""

import struct
from pathlib import Path
from random import Random

HEADER, FRAME_HEADER = 32, 24


def end_of_log(log: bytes) -> int:
    """The position behind the last frame that belongs to the log; frames of an earlier round may follow there."""
    if len(log) < HEADER:
        return 0
    page_size: int = struct.unpack_from(">I", log, 8)[0]
    salts, at, frame = log[16:24], HEADER, FRAME_HEADER + page_size
    while at + frame <= len(log) and log[at + 8 : at + 16] == salts:
        at += frame
    return at


def tear(path: Path, random: Random) -> bool:
    """Write part of a commit behind the end of a log that nobody has open; False where there is no log."""
    log = path.read_bytes() if path.exists() else b""
    if len(log) < HEADER:
        return False
    page_size: int = struct.unpack_from(">I", log, 8)[0]
    frame = struct.pack(">II", 2, 2) + log[16:24] + random.randbytes(8) + random.randbytes(page_size)
    with path.open("r+b") as file:
        file.seek(end_of_log(log))
        file.write(frame[: random.randint(FRAME_HEADER, len(frame))])
    return True
