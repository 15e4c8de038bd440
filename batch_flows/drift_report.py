"""`python -m batch_flows.drift_report`: one report now, recorded by the Prefect server when one answers."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batch_flows.prefect_settings import prepare_environment, server_answers
from batch_flows.window import choose_window
from contracts.errors import Fatal, Rejected
from contracts.model_bundle import load_bundle
from contracts.settings import Settings, load_settings, set_environment_defaults

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

WRONG_INPUT = 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch_flows.drift_report",
        description="Compare a window's predictions with the model's reference; write an HTML report.",
    )
    parser.add_argument("--model", help="model name (default: DEFAULT_MODEL)")
    parser.add_argument("--model-version", help="report on this version (default: the live one)")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the window (default: %(default)s)")
    parser.add_argument("--start", help="ISO 8601 time with a zone; replaces --hours")
    parser.add_argument("--end", help="ISO 8601 time with a zone (default: now)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow once; 0 when it completed, 1 when it failed, 2 when what it was asked for is wrong."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        parameters = _parameters(settings, options)
    except (Rejected, Fatal) as error:
        sys.stderr.write(f"drift-report: {error}\n")
        return WRONG_INPUT
    state = run_once(settings, parameters)
    stream = sys.stdout if state.is_completed() else sys.stderr
    stream.write(f"drift-report: {state.message}\n")
    return 0 if state.is_completed() else 1


def run_once(settings: Settings, parameters: dict[str, Any]) -> "State[Any]":
    """The flow's final state, whether or not a Prefect server is there to record it."""
    prepare_environment(settings)
    set_environment_defaults(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="WARNING")  # the log is for the server
    from batch_flows.flows.drift_report import drift_report

    if server_answers(settings.prefect_api_url):
        state: State[Any] = drift_report(**parameters, return_state=True)
        return state
    return drift_report.fn(**parameters)


def _parameters(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """What the flow is called with, checked before Prefect is imported, which takes seconds."""
    model = options.model or settings.default_model
    window = choose_window(hours=options.hours, start=options.start, end=options.end, now=datetime.now(UTC))
    load_bundle(settings.models_dir, model, options.model_version)
    return {"model": model, "start": window.start, "end": window.end, "model_version": options.model_version}


if __name__ == "__main__":
    sys.exit(main())
