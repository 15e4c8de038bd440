"""`python -m batch_flows.health_summary`: one summary now, recorded by the Prefect server when one answers."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from batch_flows.health_summary.facts import choose_days
from batch_flows.orchestration.command import run_command
from sextant.infrastructure.settings import Settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Summarise all models and services, from MongoDB and Prometheus; write an HTML page.",
    )
    parser.add_argument("--days", type=float, default=7.0, help="length of the window (default: %(default)s)")
    parser.add_argument("--end", help="ISO 8601 time with a zone (default: now)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    return run_command("health_summary", _parser(), _parameters, arguments)


def _parameters(_settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    window = choose_days(days=options.days, end=options.end, now=datetime.now(UTC))
    return {"days": options.days, "end": window.end}


if __name__ == "__main__":
    sys.exit(main())
