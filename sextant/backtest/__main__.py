"""`python -m sextant.backtest`: which alarms would have fired, had monitoring been set up like this."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from sextant.backtest.plan import OUTPUTS, BacktestPlan, make_plan
from sextant.contracts.errors import SextantError
from sextant.contracts.model_bundle import ModelBundle, load_bundle
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings, load_settings

WRONG_INPUT = 2
STOPPED = 130
DESCRIPTION = """\
Replay the predictions and targets that MongoDB holds through the code of the
live service, and say which alarms would have fired: to choose window and rate
before going live.

Each evaluation knows what was known when its newest prediction was made: a
target counts from its received_at on. (Of a target that was corrected, MongoDB
keeps the correction only.) The window is empty at the start; evaluations begin
when it holds enough rows. Rows of other versions take their place in the
window, as they do live, and are not judged. Segments and the test of all
features together are not replayed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Backtest as the arguments say; 0, or 2 after one line when it cannot be done as asked."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(**_overrides(options))
        plan = make_plan(options, settings, now=datetime.now(UTC))
        bundle = load_bundle(settings.models_dir, options.model or settings.default_model, options.version)
        _run(settings, plan, bundle)
    except SextantError as error:
        say(str(error))
        return WRONG_INPUT
    except KeyboardInterrupt:
        say("stopped")
        return STOPPED
    return 0


def _run(settings: Settings, plan: BacktestPlan, bundle: ModelBundle) -> None:
    with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
        store.ping()
        # Evidently takes seconds to import, and what is wrong with the arguments is known without it.
        from sextant.backtest.output import write
        from sextant.backtest.replay import Judge, replay
        from sextant.backtest.summary import summarise
        from sextant.backtest.text import as_text

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd columns; what could not be judged is in the result
            judge = Judge.of(bundle, settings.data_dir / "calibration", rate=plan.rate, say=say)
            result = replay(store, judge, plan, say if sys.stderr.isatty() else _silent)
    summary = summarise(result)
    sys.stdout.write(as_text(result, summary))
    if plan.output is not None:
        write(plan.output, result, summary)
        say(f"wrote {plan.output}")


def say(text: str) -> None:
    """One line for the person at the terminal; standard output is kept for the result."""
    sys.stderr.write(f"backtest: {text}\n")


def _silent(_: str) -> None:
    return None


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line replaces, so that they are checked as settings are."""
    given = {
        "window_size": options.window,
        "window_seconds": options.window_seconds,
        "window_min_rows": options.min_rows,
        "false_alarm_rate": options.rate,
    }
    return {name: value for name, value in given.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sextant.backtest",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="model name (default: DEFAULT_MODEL)")
    parser.add_argument("--version", help="model version whose predictions are evaluated (default: the live one)")
    moment = "ISO 8601 time with a zone, or a date alone for its midnight in UTC"
    parser.add_argument("--start", help=f"{moment} (default: the first prediction in MongoDB)")
    parser.add_argument("--end", help="the same; exclusive (default: now)")
    parser.add_argument("--window", type=int, metavar="ROWS", help="rows in the window (default: WINDOW_SIZE)")
    parser.add_argument(
        "--window-seconds",
        type=float,
        metavar="SECONDS",
        help="rows leave the window at this age before its newest one (default: WINDOW_SECONDS)",
    )
    parser.add_argument(
        "--min-rows", type=int, metavar="ROWS", help="rows before a window is evaluated (default: WINDOW_MIN_ROWS)"
    )
    parser.add_argument(
        "--rate", type=float, help="accepted share of false dataset alarms (default: FALSE_ALARM_RATE)"
    )
    parser.add_argument(
        "--every",
        type=int,
        metavar="ROWS",
        help="evaluate after this many new predictions; if fewer than the window's size, consecutive "
        "evaluations share rows (default: a quarter of the window)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help=f"also write the result to this file, which must end with {' or '.join(OUTPUTS)}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
