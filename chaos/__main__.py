"""`python -m chaos`: runs once, prints the table, writes the JSON, and fails if anything was lost or changed."""

import argparse
import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from chaos.report import as_json, table
from chaos.run import run
from sextant.contracts.errors import SextantError
from sextant.infrastructure.settings import load_settings
from sextant.local.constellation import require_checkout

CLONE_NEWNS = 0x00020000


def main() -> int:
    """The exit code: 0 when every check holds, 1 when one does not, 2 when nothing could be tried."""
    options = _parser().parse_args()
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    if sys.platform != "linux":
        return _give_up("this needs Linux: it looks into /proc and preloads a library")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _keep_mounts_private()
    say(f"seed {seed}, {options.seconds:.0f} s of faults")
    with tempfile.TemporaryDirectory(prefix="sextant-chaos-", ignore_cleanup_errors=True) as folder:
        try:
            require_checkout()
            outcome = run(Path(folder), seed, options.seconds, say)
        except KeyboardInterrupt:
            return _give_up("stopped; nothing is left running")
        except (SextantError, RuntimeError, OSError) as error:
            return _give_up(str(error))
        finally:
            logs = options.out / f"seed-{seed}-logs"
            _keep_logs(Path(folder) / "data" / "logs", logs)
    print(table(outcome))
    file = options.out / f"seed-{seed}.json"
    file.write_text(json.dumps(as_json(outcome), indent=2, default=str) + "\n")
    print(f"written to {file}; the logs are in {logs}")
    return 0 if outcome.holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long faults come (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="which faults come in which order (default: random)")
    parser.add_argument(
        "--out",
        type=Path,
        default=load_settings().data_dir / "chaos",
        help="folder of the JSON and the logs (default: DATA_DIR/chaos)",
    )
    return parser


def _keep_mounts_private() -> None:
    """What is mounted from here on is seen by this process and its children alone, and goes with them."""
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True)


def _keep_logs(logs: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    if logs.is_dir():
        shutil.copytree(logs, kept, dirs_exist_ok=True)


def _give_up(reason: str) -> int:
    print(f"chaos: {reason}", file=sys.stderr)
    return 2


def say(line: str) -> None:
    """A line of progress, at once also where it is not shown on a terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
