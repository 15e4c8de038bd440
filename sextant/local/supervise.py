"""The supervisor process: runs the Procfile's programs, and stops them all together."""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sextant.infrastructure.settings import Settings, child_environment, load_settings
from sextant.local.constellation import all_parts, commands
from sextant.local.control import pid_file
from sextant.local.keeper import Keeper


def say(line: str) -> None:
    """One line of the supervisor's log."""
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")  # one write: threads share the log
    sys.stdout.flush()


def supervise(settings: Settings, names: Sequence[str], stop: threading.Event) -> bool:
    """Run the named parts until `stop` is set (True) or one that must be there gave up (False).

    None is left running.
    """
    optional = {part.name for part in all_parts(settings) if part.programs}
    logs = settings.data_dir / "logs"
    keepers = [
        Keeper(name, commands()[name], logs / f"{name}.log", child_environment(), say=say) for name in names
    ]
    failed = threading.Event()

    def keep(keeper: Keeper) -> None:
        if not keeper.run() and keeper.name not in optional:
            failed.set()
            stop.set()

    threads = [threading.Thread(target=keep, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    stop.wait()
    stoppers = [threading.Thread(target=keeper.stop) for keeper in keepers]
    for thread in stoppers:
        thread.start()
    for thread in stoppers + threads:
        thread.join()
    say("stopped")
    return not failed.is_set()


def main() -> None:
    """Hold the data folder's lock and supervise the named parts until SIGTERM or SIGINT."""
    settings = load_settings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not hold_lock(pid_file(settings)):
        sys.exit("the constellation is already running")
    sys.exit(0 if supervise(settings, sys.argv[1:], stop) else 1)


def hold_lock(path: Path) -> bool:
    """Take the file's lock and write our process id into it; False when another process has it.

    The kernel gives it back when nothing of this process is left, so whoever waits for it need not look again.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return True


if __name__ == "__main__":
    main()
