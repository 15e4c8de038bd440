"""`python -m batch_flows.compare_models`: which of two models errs less, now, as a page and an exit code."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batch_flows.compare_models.choice import FLOW, choose
from batch_flows.orchestration.command import run_command
from batch_flows.time_range import choose_time_range
from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import State


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch_flows.compare_models",
        description="Compare the errors of two versions, A and B, on a window's labelled predictions; "
        "write an HTML page with the verdict.",
    )
    parser.add_argument("--model", help="model of A (default: DEFAULT_MODEL)")
    parser.add_argument("--version", help="version of A (default: the live one)")
    parser.add_argument("--other-model", help="model of B (default: the same)")
    parser.add_argument("--other-version", help="version of B (default: the live one)")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the window (default: %(default)s)")
    parser.add_argument("--start", help="ISO 8601 time with a zone; replaces --hours")
    parser.add_argument("--end", help="ISO 8601 time with a zone (default: now)")
    parser.add_argument(
        "--pair-by", metavar="FIELD", help="field that names an event, such as an order id (default: all fields)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    return run_command(FLOW, _parser(), _parameters, _flow, arguments)


def _flow() -> "Flow[..., State[Any]]":
    from batch_flows.compare_models.flow import compare_models

    return compare_models


def _parameters(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    window = choose_time_range(hours=options.hours, start=options.start, end=options.end, now=now)
    model = options.model or settings.default_model
    other = options.other_model or model
    a = load_bundle(settings.models_dir, model, options.version).manifest
    b = load_bundle(settings.models_dir, other, options.other_version).manifest
    choose(a, b)
    return {
        "model": a.name,
        "version": a.version,
        "other_model": b.name,
        "other_version": b.version,
        "start": window.start,
        "end": window.end,
        "pair_by": options.pair_by,
    }


if __name__ == "__main__":
    sys.exit(main())
