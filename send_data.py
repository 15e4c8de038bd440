"""Replays rows as live traffic, optionally drifted, and sends their targets after them."""

import argparse
import math
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sextant.contracts.errors import SextantError
from sextant.infrastructure.settings import Settings, load_settings
from sextant.traffic.order import AS_OF, BY_TIME, ORDERS, ORIGINAL, NoTimes, Pace
from sextant.traffic.rows import PERIODS, TRAFFIC, parse_drift
from sextant.traffic.sending import STOPPED, ReplayPlan, Sender, say, send_replay, send_targets_file
from sextant.use_cases.use_case import NAMES, SourceRequest, UseCase, load_use_case


def main(arguments: Sequence[str] | None = None) -> int:
    """Send as the arguments say; returns the exit status: 0 only if everything was accepted."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(**({"data_dir": options.data_dir} if options.data_dir else {}))
        use_case = load_use_case(options.model)
        key = min(settings.api_keys, default=None)
        sender = Sender(use_case, options.url or settings.prediction_url, key, retry_seconds=options.wait)
        if options.targets:
            return send_targets_file(sender, options.targets, settings.models_dir)
        return send_replay(sender, _plan(options, use_case, settings), settings.models_dir)
    except (SextantError, OSError) as error:
        print(f"send_data.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("send_data.py: stopped; nothing was sent", file=sys.stderr)
        return STOPPED


def _plan(options: argparse.Namespace, use_case: UseCase, settings: Settings) -> ReplayPlan:
    if options.speed and options.order != BY_TIME:
        raise NoTimes("--speed keeps the real gaps between the events; it needs --order time")
    drifts = [parse_drift(text, use_case.limits) for text in options.drift]
    raw_dir = settings.data_dir / "raw"
    request = SourceRequest(options.source, raw_dir, options.reference, options.traffic, say)
    return ReplayPlan(
        source=use_case.open_source(request),
        period=options.period,
        drifts=drifts,
        count=options.count,
        order=options.order,
        as_of=options.as_of,
        batch=options.batch,
        pace=Pace(options.rate, options.speed),
        concurrency=options.concurrency,
        feedback_delay=None if options.no_feedback else options.feedback_delay,
        seed=options.seed,
        accepted_ids=options.accepted_ids,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    rows = parser.add_argument_group("which rows")
    rows.add_argument("--model", default="taxi", help=f"{' or '.join(NAMES)} (default: %(default)s)")
    rows.add_argument("--source", default="auto", help="as for prepare.py: auto, tlc, synthetic or a folder")
    rows.add_argument("--reference", metavar="YYYY-MM", help="as for prepare.py")
    rows.add_argument("--traffic", metavar="YYYY-MM", help="as for prepare.py")
    rows.add_argument(
        "--period",
        choices=PERIODS,
        default=TRAFFIC,
        help="traffic: the later period, as it came; reference-holdout: rows of the model's own period that it "
        "was neither trained on nor is compared with: undrifted (default: %(default)s)",
    )
    rows.add_argument(
        "--drift",
        action="append",
        default=[],
        metavar="FEATURE=FACTOR",
        help="multiply a numerical feature; FEATURE=CATEGORY=SHARE sets a categorical one in a share of the rows; "
        "may be repeated; the targets stay as they were",
    )
    rows.add_argument("--count", type=_number(int, 1), default=1_000, help="rows to send (default: %(default)s)")
    rows.add_argument(
        "--order",
        choices=ORDERS,
        default=BY_TIME,
        help="time: as the events took place, the first --count of them, then from the beginning again; rows "
        "without a time keep their order; random: shuffled by --seed (default: %(default)s)",
    )
    rows.add_argument("--seed", type=int, default=0, help="of a random order and of drift (default: %(default)s)")
    rows.add_argument(
        "--as-of",
        choices=AS_OF,
        default=ORIGINAL,
        help="original: event times as they were; now: moved by whole weeks, which keeps hours and weekends true, "
        "so that the last row lies within the past week (default: %(default)s)",
    )
    pace = parser.add_argument_group("how")
    paces = pace.add_mutually_exclusive_group()
    paces.add_argument("--rate", type=_number(float, 0.001), help="rows per second (default: unlimited)")
    paces.add_argument(
        "--speed",
        type=_number(float, 0.001),
        metavar="FACTOR",
        help="keep the real gaps between the events, divided by this: 600 sends a day in 144 seconds; "
        "a gap of more than a day counts as one day",
    )
    pace.add_argument("--concurrency", type=_number(int, 1, 256), default=4, help="threads (default: %(default)s)")
    pace.add_argument(
        "--batch", type=_number(int, 1, 1_000), default=1, help="rows per request (default: %(default)s)"
    )
    pace.add_argument(
        "--feedback-delay",
        type=_number(float, 0),
        default=2.0,
        metavar="SECONDS",
        help="delay from a prediction to its target (default: %(default)s)",
    )
    pace.add_argument("--no-feedback", action="store_true", help="send no targets")
    pace.add_argument("--url", help="URL of the prediction service (default: PREDICTION_URL)")
    pace.add_argument(
        "--wait",
        type=_number(float, 0),
        default=300.0,
        metavar="SECONDS",
        help="how long to retry while the service is down or full (default: %(default)s)",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--targets",
        "--targets-csv",
        type=Path,
        metavar="FILE",
        help="send only the targets in this CSV or Parquet file, which `python -m batch_flows.import_targets` "
        "reads too: prediction_id,target",
    )
    files.add_argument(
        "--accepted-ids", type=Path, metavar="FILE", help="write the id of every accepted prediction"
    )
    files.add_argument("--data-dir", type=Path, help="default: DATA_DIR, or data")
    return parser


def _number(kind: Callable[[str], float], low: float, high: float = math.inf) -> Callable[[str], float]:
    """A converter for argparse that keeps a number within its limits."""

    def convert(text: str) -> float:
        value = kind(text)
        if not low <= value <= high or math.isinf(value):
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    convert.__name__ = kind.__name__
    return convert


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a supervisor's stop prints the summary too
    sys.exit(main())
