"""`python -m prediction_service.outbox`: what waits, what was refused and why, and what to do about it."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import orjson

from prediction_service.dead_letters import DeadLetter, append_lines
from prediction_service.outbox import Outbox
from prediction_service.outbox_types import SINKS
from sextant.contracts.errors import Fatal, Retryable
from sextant.infrastructure.settings import load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    asked = _parsed(arguments)
    try:
        settings = load_settings()
        if not settings.outbox_file.is_file():
            raise Fatal(f"there is no outbox at {settings.outbox_file}; set DATA_DIR or OUTBOX_PATH")
        with closing(Outbox(settings.outbox_file, settings.outbox_max_bytes)) as outbox:
            if asked.command == "status":
                _print_status(outbox, settings.outbox_max_bytes)
                return 0
            chosen = [
                letter
                for letter in outbox.dead_letters(asked.sink)
                if not asked.seq or letter.event.seq in asked.seq
            ]
            if asked.command == "peek":
                _print_letters(chosen, asked.limit)
            elif asked.command == "redeliver":
                outbox.redeliver(chosen)
                print(f"{_counted(chosen)} queued again")
            else:
                _export(outbox, chosen, asked.file, remove=asked.remove)
    except (Fatal, Retryable, OSError) as error:
        print(f"outbox: {error}", file=sys.stderr)
        return 1
    return 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m prediction_service.outbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="what each sink has, waits for and refused")
    for name, help_text in (
        ("peek", "show dead letters: the events that a sink refused, with the reason"),
        ("redeliver", "queue dead letters again, once what refused them is mended"),
        ("export", "write dead letters to a file, a line of JSON each"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("--sink", choices=SINKS, help="only those of this sink")
        command.add_argument("--seq", type=int, nargs="+", help="only the events with these numbers")
        if name == "peek":
            command.add_argument("--limit", type=int, default=20, help="how many are shown (default: 20)")
        if name == "export":
            command.add_argument("file", type=Path, help="the file, which is added to")
            command.add_argument("--remove", action="store_true", help="delete them from the outbox afterwards")
    return parser.parse_args(arguments)


def _print_status(outbox: Outbox, max_bytes: int) -> None:
    used, dead = outbox.bytes_used(), outbox.dead_letter_bytes()
    print(f"{outbox.path}: {used:,} bytes, {used - dead:,} of them events (limit {max_bytes:,})")
    print(
        f"{'sink':12}{'accepted':>12}{'delivered':>12}{'queued':>10}{'oldest':>10}{'refused':>10}{'skipped':>10}"
    )
    for sink, counts in outbox.counts().items():
        oldest = f"{time.time() - counts.oldest_at:,.0f} s" if counts.oldest_at and counts.queued else "-"
        print(
            f"{sink:12}{counts.accepted:>12,}{counts.delivered:>12,}{counts.queued:>10,}{oldest:>10}"
            f"{counts.dead_lettered:>10,}{counts.skipped:>10,}"
        )
    kept = sum(1 for _ in outbox.dead_letters())
    print(f"{kept:,} dead letters are kept ({dead:,} bytes); peek shows them")
    if outbox.overflow.exists():
        print(f"older ones are in {outbox.overflow}")


def _print_letters(letters: Sequence[DeadLetter], limit: int) -> None:
    for letter in letters[:limit]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(letter.event.at))
        print(f"{letter.event.seq}  {at} UTC  {letter.sink}  {letter.event.kind}  {_named(letter)}")
        print(f"    {letter.reason}")
    if len(letters) > limit:
        print(f"and {len(letters) - limit:,} more")
    if not letters:
        print("no dead letters")


def _named(letter: DeadLetter) -> str:
    try:
        body = orjson.loads(letter.event.body)
        return f"{body.get('model', '?')}/{body.get('prediction_id', '?')}"
    except (orjson.JSONDecodeError, AttributeError):
        return "unreadable"


def _export(outbox: Outbox, letters: Sequence[DeadLetter], file: Path, *, remove: bool) -> None:
    append_lines(file, letters)
    if remove:
        outbox.forget(letters)
    print(f"{_counted(letters)} written to {file}{' and removed from the outbox' if remove else ''}")


def _counted(letters: Sequence[DeadLetter]) -> str:
    return "1 dead letter" if len(letters) == 1 else f"{len(letters):,} dead letters"
