"""`python -m batch_flows.drift_report`: one report now, recorded by the Prefect server when one answers."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from batch_flows.orchestration.command import add_time_range, run_command, time_range_of
from batch_flows.reports.record import ALL_MODELS
from sextant.contracts.errors import Rejected
from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import Settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compare a window's predictions with the model's reference; write an HTML report.",
    )
    parser.add_argument("--model", help="model name, or all (default: DEFAULT_MODEL)")
    parser.add_argument("--model-version", help="report on this version (default: the live one)")
    add_time_range(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    return run_command("drift_report", _parser(), _parameters, arguments)


def _parameters(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    model = options.model or settings.default_model
    window = time_range_of(options)
    if model != ALL_MODELS:
        load_bundle(settings.models_dir, model, options.model_version)
    elif options.model_version:
        raise Rejected("--model-version needs the name of its model in --model")
    return {"model": model, "start": window.start, "end": window.end, "model_version": options.model_version}


if __name__ == "__main__":
    sys.exit(main())
