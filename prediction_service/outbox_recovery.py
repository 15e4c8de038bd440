"""Renames a damaged outbox file and recovers the events that can still be read from it."""

import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from prediction_service.outbox import Outbox
from prediction_service.outbox_types import NewEvent
from sextant.infrastructure.settings import load_settings


def set_aside_if_corrupt(path: Path, now: float) -> Path | None:
    """Rename a file that is no sound outbox, so that nothing in it is lost; returns its new name."""
    if not path.exists() or _is_sound(path):
        return None
    aside = path.with_name(f"{path.stem}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}{path.suffix}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _is_sound(path: Path) -> bool:
    try:
        connection = sqlite3.connect(path)
        try:
            verdict: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return False
    return verdict == "ok"


def salvage(aside: Path, outbox: Outbox) -> int:
    """Accept again every event that can still be read from a file set aside; returns how many.

    Sinks take an event twice without harm, so events that had been delivered do no damage.
    """
    count = 0
    for event in _readable(aside):
        outbox.append([event])
        count += 1
    return count


def _readable(aside: Path) -> Iterator[NewEvent]:
    connection = sqlite3.connect(aside)
    try:
        for kind, body in connection.execute("SELECT kind, body FROM events ORDER BY seq"):
            yield NewEvent(kind, bytes(body))
    except sqlite3.DatabaseError as error:
        print(f"the rest of {aside} cannot be read: {error}", file=sys.stderr)
    finally:
        connection.close()


def main() -> None:
    """Bring back what can be read of the file named on the command line."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python -m prediction_service.outbox_recovery FILE  (an outbox that was set aside)")
    settings = load_settings()
    count = salvage(Path(sys.argv[1]), Outbox(settings.outbox_file, settings.outbox_max_bytes))
    print(f"{count} events recovered")


if __name__ == "__main__":
    main()
