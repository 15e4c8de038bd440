"""`python -m sextant.keys add|list|remove`: who may use the services, and for what."""

import argparse
import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from typing import get_args

from sextant.contracts.errors import Fatal, Rejected, SextantError
from sextant.contracts.files import write_atomically
from sextant.infrastructure.keys import KeyFile, Scope, StoredKey, digest_of, read_key_file
from sextant.infrastructure.settings import load_settings

PRIVATE = 0o600
PREFIX = "sxt_"
"""Lets programs that look for leaked secrets recognise one."""


def add(path: Path, name: str, scopes: Sequence[Scope], now: datetime) -> str:
    """Make a key, of which the file keeps only the hash; raises Rejected where the name is taken."""
    key = PREFIX + token_urlsafe(32)
    with _changing(path) as keys:
        if any(each.name == name for each in keys):
            raise Rejected(f"there is a key named {name!r}; remove it first, or give the new one another name")
        keys.append(StoredKey(name=name, scopes=tuple(scopes), sha256=digest_of(key), created_at=now))
    return key


def remove(path: Path, name: str) -> None:
    """Take a key out of force; raises Rejected where there is none of that name."""
    with _changing(path) as keys:
        kept = [each for each in keys if each.name != name]
        if len(kept) == len(keys):
            raise Rejected(f"there is no key named {name!r} in {path}")
        keys[:] = kept


def listed(path: Path) -> str:
    """The keys' names, scopes and ages as lines."""
    keys = read_key_file(path).keys if path.exists() else ()
    lines = [f"{key.name:<24}{' '.join(key.scopes):<32}{key.created_at:%Y-%m-%d %H:%M} UTC" for key in keys]
    return "\n".join(lines) or f"there is no key in {path}"


@contextmanager
def _changing(path: Path) -> Iterator[list[StoredKey]]:
    """The keys, which are written anew afterwards; two commands at once do not lose each other's."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = list(read_key_file(path).keys) if path.exists() else []
            yield keys
            content = KeyFile(keys=tuple(keys)).model_dump_json(indent=2)
            write_atomically(path, content + "\n", mode=PRIVATE)
    except OSError as error:
        raise Fatal(f"cannot write {path}: {error.strerror}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; 2 and one line when that cannot be done."""
    asked = _parser().parse_args(arguments)
    try:
        path = load_settings().keys_file
        if asked.command == "add":
            key = add(path, asked.name, tuple(dict.fromkeys(asked.scope)), datetime.now(UTC))
            sys.stderr.write(f"{asked.name}: {' '.join(asked.scope)}; the key is shown this once\n")
            print(key)
        elif asked.command == "remove":
            remove(path, asked.name)
            print(f"removed {asked.name}; the services refuse it within a second")
        else:
            print(listed(path))
    except ValueError:
        sys.stderr.write("keys: a name has 1 to 64 letters, digits, dots, dashes and underscores\n")
        return 2
    except SextantError as error:
        sys.stderr.write(f"keys: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sextant.keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="make a key and print it, once")
    adding.add_argument("name", help="who will hold it; it stands in logs and metrics")
    adding.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=get_args(Scope),
        help="what it opens; may be given several times. read: pages, reports, metrics; admin: every door",
    )
    commands.add_parser("list", help="show names and scopes")
    removing = commands.add_parser("remove", help="take a key out of force")
    removing.add_argument("name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
