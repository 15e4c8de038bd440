"""`python -m batch_flows.health_summary`: one summary now, recorded by the Prefect server when one answers."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batch_flows.health_summary.facts import FLOW, choose_days
from batch_flows.orchestration.command import run_command
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import State


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch_flows.health_summary",
        description="Sum up how all models and services did, from MongoDB and Prometheus; write an HTML page.",
    )
    parser.add_argument("--days", type=float, default=7.0, help="length of the window (default: %(default)s)")
    parser.add_argument("--end", help="ISO 8601 time with a zone (default: now)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    return run_command(FLOW, _parser(), _parameters, _flow, arguments)


def _flow() -> "Flow[..., State[Any]]":
    from batch_flows.health_summary.flow import health_summary

    return health_summary


def _parameters(_settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    window = choose_days(days=options.days, end=options.end, now=datetime.now(UTC))
    return {"days": options.days, "end": window.end}


if __name__ == "__main__":
    sys.exit(main())
