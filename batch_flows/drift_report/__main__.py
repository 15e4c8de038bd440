"""`python -m batch_flows.drift_report`: one report now, recorded by the Prefect server when one answers."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batch_flows.orchestration.command import run_command
from batch_flows.reports.record import ALL_MODELS
from batch_flows.time_range import choose_time_range
from sextant.contracts.errors import Rejected
from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import State


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch_flows.drift_report",
        description="Compare a window's predictions with the model's reference; write an HTML report.",
    )
    parser.add_argument("--model", help="model name, or all (default: DEFAULT_MODEL)")
    parser.add_argument("--model-version", help="report on this version (default: the live one)")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the window (default: %(default)s)")
    parser.add_argument("--start", help="ISO 8601 time with a zone; replaces --hours")
    parser.add_argument("--end", help="ISO 8601 time with a zone (default: now)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    return run_command("drift-report", _parser(), _parameters, _flow, arguments)


def _flow() -> "Flow[..., State[Any]]":
    from batch_flows.drift_report.flow import drift_report

    return drift_report


def _parameters(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    model = options.model or settings.default_model
    now = datetime.now(UTC).replace(microsecond=0)  # as the report shows it, so that it can be made again
    window = choose_time_range(hours=options.hours, start=options.start, end=options.end, now=now)
    if model != ALL_MODELS:
        load_bundle(settings.models_dir, model, options.model_version)
    elif options.model_version:
        raise Rejected("--model-version needs the name of its model in --model")
    return {"model": model, "start": window.start, "end": window.end, "model_version": options.model_version}


if __name__ == "__main__":
    sys.exit(main())
