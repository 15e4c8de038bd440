"""`python -m batch_flows.retention`: says what is old enough to go; with --apply, deletes it."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from batch_flows.orchestration.command import run_command
from batch_flows.retention.plan import choose_limits, choose_models
from batch_flows.store import open_store
from sextant.contracts.errors import StoreUnavailable
from sextant.contracts.model_bundle import model_names
from sextant.infrastructure.settings import Settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Delete old predictions, with their targets, that a drift report covers, and old pages.",
        epilog="Each model keeps its newest WINDOW_SIZE predictions, with which monitoring fills its window.",
    )
    parser.add_argument("--older-than-days", type=float, default=90.0, help="age in days (default: %(default)s)")
    parser.add_argument(
        "--apply", action="store_true", help="delete; without it, only report what would be deleted"
    )
    parser.add_argument("--model", help="only this model and its reports (default: all)")
    keep = parser.add_mutually_exclusive_group()
    keep.add_argument("--keep-reports-days", type=float, default=365.0, help="age of pages (default: %(default)s)")
    keep.add_argument(
        "--keep-all-reports", dest="keep_reports_days", action="store_const", const=None, help="keep all pages"
    )
    parser.add_argument(
        "--without-report", action="store_true", help="also delete predictions that no drift report covers"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    return run_command("retention", _parser(), _parameters, arguments)


def _parameters(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    ages = {"older_than_days": options.older_than_days, "keep_reports_days": options.keep_reports_days}
    choose_limits(**ages, now=datetime.now(UTC))
    _check_model(settings, options.model)
    return {**ages, "apply": options.apply, "model": options.model, "require_report": not options.without_report}


def _check_model(settings: Settings, model: str | None) -> None:
    """Raises Rejected for a model that nobody knows; that MongoDB is away is for the flow to say."""
    published = model_names(settings.models_dir)
    if model is None or model in published:
        return
    with (
        suppress(StoreUnavailable),
        open_store(settings) as store,
    ):
        choose_models(model, stored=store.models(), published=published)


if __name__ == "__main__":
    sys.exit(main())
