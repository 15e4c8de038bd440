"""A flow as a command: arguments, then one run, recorded by the Prefect server when one answers."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from batch_flows.orchestration.settings import prepare_environment, server_answers
from batch_flows.time_range import TimeRange, choose_time_range
from sextant.contracts.errors import Fatal, Rejected
from sextant.infrastructure.settings import Settings, load_settings, set_environment_defaults

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import State

COMPLETED, FAILED, WRONG_INPUT = 0, 1, 2

Parameters = Callable[[Settings, argparse.Namespace], Mapping[str, Any]]
"""What the flow is called with; raises Rejected or Fatal before Prefect is imported, which takes seconds."""


def run_command(
    folder: str, parser: argparse.ArgumentParser, parameters: Parameters, arguments: Sequence[str] | None = None
) -> int:
    """Run the flow of this folder once.

    0 when it completed, 1 when it failed, 2 when what it was asked for is wrong.
    """
    name = folder.replace("_", "-")
    parser.prog = f"python -m batch_flows.{folder}"
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        state = run_once(settings, folder, dict(parameters(settings, options)))
    except (Rejected, Fatal) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return WRONG_INPUT
    stream = sys.stdout if state.is_completed() else sys.stderr
    stream.write(f"{name}: {state.message}\n")
    return COMPLETED if state.is_completed() else FAILED


def run_once(settings: Settings, folder: str, parameters: dict[str, Any]) -> "State[Any]":
    """The flow's final state, whether or not a Prefect server is there to record it; raises Fatal."""
    prepare_environment(settings)
    set_environment_defaults(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL")  # the server has the traces
    flow = load_flow(folder)
    if server_answers(settings):
        state: State[Any] = flow(**parameters, return_state=True)
        return state
    return flow.fn(**parameters)


def load_flow(folder: str, function: str | None = None) -> "Flow[..., State[Any]]":
    """The flow of a folder: in its flow.py the function of this name (default: the folder's); imports Prefect."""
    flow: Flow[..., State[Any]] = getattr(import_module(f"batch_flows.{folder}.flow"), function or folder)
    return flow


def add_time_range(parser: argparse.ArgumentParser) -> None:
    """The options that say which time a report is about."""
    parser.add_argument("--hours", type=float, default=24.0, help="length of the window (default: %(default)s)")
    parser.add_argument("--start", help="ISO 8601 time with a zone; replaces --hours")
    parser.add_argument("--end", help="ISO 8601 time with a zone (default: now)")


def time_range_of(options: argparse.Namespace) -> TimeRange:
    """What they say, up to a whole second, as the report shows it, so that it can be made again."""
    now = datetime.now(UTC).replace(microsecond=0)
    return choose_time_range(hours=options.hours, start=options.start, end=options.end, now=now)
