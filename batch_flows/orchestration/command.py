"""A flow as a command: arguments, then one run, recorded by the Prefect server when one answers."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batch_flows.orchestration.settings import prepare_environment, server_answers
from sextant.contracts.errors import Fatal, Rejected
from sextant.infrastructure.settings import Settings, load_settings, set_environment_defaults

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import State

COMPLETED, FAILED, WRONG_INPUT = 0, 1, 2

Parameters = Callable[[Settings, argparse.Namespace], Mapping[str, Any]]
"""What the flow is called with; raises Rejected or Fatal before Prefect is imported, which takes seconds."""


def run_command(
    name: str,
    parser: argparse.ArgumentParser,
    parameters: Parameters,
    load_flow: "Callable[[], Flow[..., State[Any]]]",
    arguments: Sequence[str] | None = None,
) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        chosen = dict(parameters(settings, options))
    except (Rejected, Fatal) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return WRONG_INPUT
    state = run_once(settings, load_flow, chosen)
    stream = sys.stdout if state.is_completed() else sys.stderr
    stream.write(f"{name}: {state.message}\n")
    return COMPLETED if state.is_completed() else FAILED


def run_once(
    settings: Settings, load_flow: "Callable[[], Flow[..., State[Any]]]", parameters: dict[str, Any]
) -> "State[Any]":
    """The flow's final state, whether or not a Prefect server is there to record it."""
    prepare_environment(settings)
    set_environment_defaults(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="WARNING")  # the log is for the server
    flow = load_flow()
    if server_answers(settings.prefect_api_url):
        state: State[Any] = flow(**parameters, return_state=True)
        return state
    return flow.fn(**parameters)
