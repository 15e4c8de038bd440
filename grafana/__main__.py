"""`python -m grafana` writes the dashboards as JSON; `--check` only names those that are not current."""

import argparse
import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

import grafana.delivery
import grafana.fleet
import grafana.health
import grafana.live_drift
import grafana.performance

FOLDER = Path(__file__).parent / "dashboards"
BUILDERS = {
    "live_drift.json": grafana.live_drift.dashboard,
    "performance.json": grafana.performance.dashboard,
    "health.json": grafana.health.dashboard,
    "delivery.json": grafana.delivery.dashboard,
    "fleet.json": grafana.fleet.dashboard,
}


def generated() -> dict[str, str]:
    """The text of each file by its name; the same code gives the same text."""
    return {name: _text(build()) for name, build in BUILDERS.items()}


def outdated(folder: Path) -> list[str]:
    """Names of the files in the folder that are missing, changed by hand, or of no dashboard any more."""
    wanted = generated()
    found = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write(folder: Path) -> None:
    """Write every dashboard and remove files of dashboards that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = generated()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text)


def _text(dashboard: models.Dashboard) -> str:
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Write or check; 1 when a check found an outdated file."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    if not parser.parse_args(arguments).check:
        write(folder)
        return 0
    stale = outdated(folder)
    for name in stale:
        print(f"not current: {name} (run `python -m grafana`)", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
