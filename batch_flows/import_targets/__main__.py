"""`python -m batch_flows.import_targets FILE`: ground truth into MongoDB, recorded by Prefect when it answers."""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch_flows.import_targets.staging import reject_path
from batch_flows.import_targets.summary import FLOW
from batch_flows.orchestration.command import run_command
from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import Settings
from sextant.infrastructure.target_files import open_target_file

HELP = """\
Store ground truth from a CSV or Parquet file with the columns prediction_id and target.

Further columns: model (checked), received_at (ISO 8601 with a zone); others are ignored.
CSV is UTF-8, separated by commas, semicolons, tabs or bars; decimals follow a point.
Nothing is stored before the whole file has been read.

  matched    The prediction is stored.
  unknown    It is not; the target is stored all the same, since it may come first.
  malformed  The row cannot be a target of this model; it goes to the reject file,
             which can be corrected and imported itself.

The same file again changes nothing. Where another value is stored for a prediction, the
one received later counts: a row with a later received_at replaces it; a row without
received_at does not, unless --replace says that it is received now.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=HELP,
        epilog="Exit code: 0 done, malformed rows or not; 1 failed, or no row was usable; 2 wrong input.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="CSV or Parquet file")
    parser.add_argument("--model", help="model name (default: DEFAULT_MODEL)")
    parser.add_argument("--rejects", type=Path, help="file for malformed rows (default: FILE.rejected.csv)")
    parser.add_argument("--skip-unknown", action="store_true", help="ignore targets of unknown predictions")
    parser.add_argument("--replace", action="store_true", help="replace stored values that differ")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Import once; 0 when it completed, 1 when it failed or nothing was usable, 2 when the request is wrong."""
    with _progress_for_people():
        return run_command("import_targets", _parser(), _parameters, arguments)


def _parameters(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    model = options.model or settings.default_model
    load_bundle(settings.models_dir, model)
    open_target_file(options.file)
    reject_path(options.file, options.rejects)
    return {
        "path": options.file,
        "model": model,
        "rejects": options.rejects,
        "skip_unknown": options.skip_unknown,
        "replace": options.replace,
    }


@contextmanager
def _progress_for_people() -> Iterator[None]:
    """Show the flow's log on a terminal, where someone waits for minutes; nowhere else."""
    if not sys.stderr.isatty():
        yield
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{FLOW}: %(message)s"))
    log = logging.getLogger("batch_flows")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
