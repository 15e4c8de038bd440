"""The commands behind `make up`, `make status`, `make down` and `make demo`."""

import argparse
import subprocess
import sys
import time

from sextant.contracts.errors import Fatal
from sextant.contracts.model_bundle import current_version
from sextant.infrastructure.settings import Settings, load_settings
from sextant.local import control
from sextant.local.constellation import (
    ROOT,
    Constellation,
    Program,
    all_programs,
    constellation,
    ports_in_use,
    require_checkout,
)
from sextant.local.demo import MODEL, Demo, all_hold
from sextant.local.environment import environment
from sextant.local.supervisor import lock_file, lock_holder


def prepare(settings: Settings, source: str) -> None:
    """Train the demo's model from a source, or find that it is there already."""
    command = [sys.executable, "prepare.py", "--model", MODEL, "--source", source]
    if subprocess.run(command, cwd=ROOT, env=environment(settings), check=False).returncode:
        raise Fatal("prepare.py failed; its message is above")


def up(settings: Settings, source: str) -> Constellation:
    """Start everything, wait until it answers, and return what runs."""
    with control.starting(settings):
        return _up(settings, source)


def _up(settings: Settings, source: str) -> Constellation:
    found = control.startable(settings)
    try:
        current_version(settings.models_dir, MODEL)
    except Fatal:
        prepare(settings, source)
    process = control.start(settings, found)
    print("starting the constellation:", end="", flush=True)

    def on_ready(program: Program) -> None:
        print(f" {program.name}", end="", flush=True)

    try:
        late = control.wait_until_ready(settings, process, found, on_ready)
    except BaseException:
        print()
        process.terminate()  # it may not hold the lock yet
        process.wait(control.STOP_SECONDS)
        raise
    logs = settings.data_dir / "logs"
    print("".join(f"\n{program.name} is not ready yet; see {logs}/{program.name}.log" for program in late))
    return found


def status(settings: Settings) -> bool:
    """Say what runs and what answers; whether anything runs."""
    pid = lock_holder(lock_file(settings))
    if control.orphans(settings):
        print("the supervisor was killed, and some of its programs still run; end them with: make down")
    else:
        print(f"running (process {pid})" if pid else "nothing is running")
    for program in constellation(settings).programs if pid else ():
        if program.ready_path:
            print(f"  {program.name:<14}{'ready' if control.answers(program) else 'does not answer'}")
    return pid is not None


def down(settings: Settings) -> None:
    """Stop everything, and say what listens on our ports nevertheless."""
    print("stopped" if control.stop(settings) else "nothing is running")
    for port in ports_in_use(all_programs(settings)):
        print(f"{port} is in use by another program, which was not started here")


def where_to_look(settings: Settings, found: Constellation) -> None:
    """Print the addresses that a person may open."""
    print("\nwhere to look:")
    for program in found.programs:
        if program.shows:
            print(f"  http://127.0.0.1:{program.port}/  {program.shows}")
    print(f"  {settings.data_dir}/logs/  one log per process")
    if settings.prefect_api_auth_string is None:
        print(f"  {settings.prefect_secret_file}  what Prefect's page asks for: user:password")
    for reason in found.absent.values():
        print(f"  ({reason} and was not started)")


def demo(settings: Settings, source: str, *, once: bool) -> bool:
    """Run the demo; afterwards stay up until Ctrl-C, or with `once` stop everything."""
    prepare(settings, source)
    found = up(settings, source)
    try:
        held = all_hold(Demo(settings, source, prometheus=found.port("prometheus") is not None).run())
        where_to_look(settings, found)
        if not once:
            print("\nCtrl-C stops everything", flush=True)
            while lock_holder(lock_file(settings)):
                time.sleep(1)
        return held
    except KeyboardInterrupt:
        return True
    finally:
        print("\nstopping", flush=True)
        control.stop(settings)


def main() -> None:
    """python -m sextant.local up|status|down|demo"""
    parser = argparse.ArgumentParser(prog="python -m sextant.local", description=__doc__)
    parser.add_argument("command", choices=["up", "status", "down", "demo"])
    parser.add_argument("--source", default="auto", help="auto, tlc, synthetic or a folder of months")
    parser.add_argument("--once", action="store_true", help="stop everything after the demo")
    arguments = parser.parse_args()
    try:
        require_checkout()
        settings = load_settings()
        if arguments.command == "status":
            sys.exit(0 if status(settings) else 1)
        elif arguments.command == "down":
            down(settings)
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
