"""`python -m batch_flows.compare_models`: which of two models errs less, now, as a page and an exit code."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from batch_flows.compare_models.choice import choose
from batch_flows.orchestration.command import add_time_range, run_command, time_range_of
from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import Settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compare the errors of two versions, A and B, on a window's labelled predictions; "
        "write an HTML page with the verdict.",
    )
    parser.add_argument("--model", help="model of A (default: DEFAULT_MODEL)")
    parser.add_argument("--version", help="version of A (default: the live one)")
    parser.add_argument("--other-model", help="model of B (default: the same)")
    parser.add_argument("--other-version", help="version of B (default: the live one)")
    add_time_range(parser)
    parser.add_argument(
        "--pair-by", metavar="FIELD", help="field that names an event, such as an order id (default: all fields)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    return run_command("compare_models", _parser(), _parameters, arguments)


def _parameters(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    window = time_range_of(options)
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
