"""The commands behind `make up`, `make down` and `make demo`."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from sextant.contracts.errors import Fatal
from sextant.contracts.model_bundle import current_version
from sextant.infrastructure.settings import Settings, load_settings
from sextant.local import control
from sextant.local.constellation import ROOT, Constellation, Part
from sextant.local.demo import MODEL, Demo, verdict
from sextant.local.environment import environment


def prepare(settings: Settings, source: str) -> None:
    """Train the demo's model from a source, or find that it is there already."""
    command = [sys.executable, "prepare.py", "--model", MODEL, "--source", source]
    if subprocess.run(command, cwd=ROOT, env=environment(settings), check=False).returncode:
        raise Fatal("prepare.py failed; its message is above")


def up(settings: Settings, source: str) -> Constellation:
    """Start everything, wait until it answers, and return what runs."""
    there = control.startable(settings)
    try:
        current_version(settings.models_dir, MODEL)
    except Fatal:
        prepare(settings, source)
    process = control.start(settings, there)
    print("starting the constellation:", end="", flush=True)

    def on_ready(part: Part) -> None:
        print(f" {part.name}", end="", flush=True)

    try:
        late = control.wait_until_ready(settings, process, there, on_ready)
    except BaseException:
        print()
        control.stop(settings)
        raise
    print("".join(f"\n{part.name} is not ready yet; see {log_file(settings, part)}" for part in late))
    return there


def log_file(settings: Settings, part: Part) -> Path:
    """Where a part writes what it has to say."""
    return settings.data_dir / "logs" / f"{part.name}.log"


def where_to_look(settings: Settings, there: Constellation) -> None:
    """Print the addresses that a person may open."""
    print("\nwhere to look:")
    for part in there.parts:
        if part.says:
            print(f"  http://127.0.0.1:{part.port}/  {part.says}")
    print(f"  {settings.data_dir}/logs/  one log a process")
    for reason in there.absent.values():
        print(f"  ({reason} and was left out)")


def demo(settings: Settings, source: str, *, once: bool) -> bool:
    """Run the demo; afterwards stay up until Ctrl-C, or with `once` stop everything."""
    prepare(settings, source)
    there = up(settings, source)
    try:
        held = verdict(Demo(settings, source, prometheus=there.port("prometheus") is not None).run())
        where_to_look(settings, there)
        if not once:
            print("\nCtrl-C stops everything", flush=True)
            while control.running_pid(settings) is not None:
                time.sleep(1)
        return held
    except KeyboardInterrupt:
        return True
    finally:
        print("\nstopping", flush=True)
        control.stop(settings)


def main() -> None:
    """python -m sextant.local up|down|demo"""
    parser = argparse.ArgumentParser(prog="python -m sextant.local", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "demo"])
    parser.add_argument("--source", default="auto", help="auto, tlc, synthetic or a folder of months")
    parser.add_argument("--once", action="store_true", help="stop everything after the demo")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        if arguments.command == "down":
            print("stopped" if control.stop(settings) else "nothing is running")
        elif arguments.command == "up":
            where_to_look(settings, up(settings, arguments.source))
        elif not demo(settings, arguments.source, once=arguments.once or not sys.stdout.isatty()):
            sys.exit(1)
    except Fatal as error:
        sys.exit(f"sextant: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"sextant: {' '.join(map(str, error.cmd[1:]))} failed (exit {error.returncode})")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
