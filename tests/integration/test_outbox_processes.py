"""The processes of an outbox: what one of them does with the file disturbs no other."""

import subprocess
import sys
from pathlib import Path

from prediction_service.outbox import Outbox
from prediction_service.outbox_types import NewEvent
from tests.processes import ROOT

LIMIT = 10 << 20


def test_the_log_stays_in_use_when_another_process_closes_the_outbox_that_a_relay_has_open_more_than_once(
    tmp_path: Path,
) -> None:
    """Whoever closes a database file, for whatever purpose it was opened, loses SQLite's locks on it."""
    path = tmp_path / "outbox.db"
    relay = [Outbox(path, LIMIT) for _ in range(3)]
    relay[0].append([NewEvent("prediction", b"1")])
    log = path.with_name("outbox.db-wal").stat().st_ino
    program = "import sys, pathlib; from prediction_service.outbox import Outbox; " + (
        f"Outbox(pathlib.Path(sys.argv[1]), {LIMIT}).close()"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, check=True)
    assert path.with_name("outbox.db-wal").stat().st_ino == log
    for outbox in relay:
        outbox.append([NewEvent("prediction", b"2")])
    assert len(Outbox(path, LIMIT).queued("mongodb", 10)) == 4
    for outbox in relay:
        outbox.close()
