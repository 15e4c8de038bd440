"""SQLite's write-ahead log, frame by frame: SQLite reads it up to the first damaged frame, this also what follows.

The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. Frames of one round of the log have
its salts, and each has the checksum of all before it: a frame is sound if it continues the one before.
"""

import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER, FRAME_HEADER = 32, 24
ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
"""By the magic number: the byte order of the words that are summed."""

NATIVE_ORDER = "<" if sys.byteorder == "little" else ">"
PAGE_SIZE = 4_096  # SQLite's default, which the outbox leaves as it is
WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Frame:
    """One page as a transaction left it; the last of a transaction says how many pages the file then has."""

    page: int
    file_pages: int
    content: bytes

    @property
    def commits(self) -> bool:
        """Whether a transaction ends here."""
        return self.file_pages > 0


@dataclass(frozen=True, slots=True)
class WriteAheadLog:
    """The sound frames of the log's last round: those that SQLite reads, and those behind a damaged one."""

    followed: Sequence[Frame] = ()
    beyond: Sequence[Frame] = ()

    @property
    def commits_beyond(self) -> int:
        """How many transactions end behind the first damaged frame."""
        return sum(frame.commits for frame in self.beyond)

    def write_to(self, database: Path) -> None:
        """Put every page as its last sound frame has it into a file that has no log."""
        frames = [*self.followed, *self.beyond]
        while frames and not frames[-1].commits:
            frames.pop()
        with database.open("r+b") as file:
            for frame in frames:
                file.seek((frame.page - 1) * len(frame.content))
                file.write(frame.content)
            if frames:
                file.truncate(frames[-1].file_pages * len(frames[-1].content))


def read_log(database: Path, least: int = 0) -> WriteAheadLog:
    """The log beside a database; empty if there is none, or fewer than `least` transactions end in it.

    The database is not touched: whoever closes a file loses all locks that his process has on it, SQLite's too.
    """
    try:
        log = database.with_name(database.name + "-wal").read_bytes()
    except FileNotFoundError:
        return WriteAheadLog()
    length = FRAME_HEADER + PAGE_SIZE
    starts = range(HEADER, len(log) - length + 1, length)
    if not starts:
        return WriteAheadLog()
    magic, _, _, _, *salts, sum_0, sum_1 = struct.unpack_from(">8I", log)
    order = ORDERS.get(magic, NATIVE_ORDER)
    before: tuple[int, int] | None = (sum_0, sum_1)
    whole = magic in ORDERS and _checksum(log[: HEADER - 8], (0, 0), order) == before
    if not whole:  # SQLite reads nothing at all; the first frame has the salts
        salts, before = list(struct.unpack_from(">2I", log, HEADER + 8)), None
    heads = [struct.unpack_from(">6I", log, start) for start in starts]
    if sum(head[1] > 0 and [*head[2:4]] == salts for head in heads) < least:
        return WriteAheadLog()
    followed: list[Frame] = []
    beyond: list[Frame] = []
    for start, (page, file_pages, *found, sum_0, sum_1) in zip(starts, heads, strict=True):
        if found != salts:
            whole, before = False, None
            continue
        content = log[start + FRAME_HEADER : start + length]
        if before and _checksum(log[start : start + 8] + content, before, order) == (sum_0, sum_1):
            (followed if whole else beyond).append(Frame(page, file_pages, content))
        else:
            whole = False
        before = (sum_0, sum_1)
    return WriteAheadLog(followed, beyond)


def _checksum(content: bytes, before: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = before
    words = iter(struct.unpack(f"{order}{len(content) // 4}I", content))
    for word in words:
        first = (first + word + second) & WORD
        second = (second + next(words) + first) & WORD
    return first, second
