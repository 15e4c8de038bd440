"""`python -m sextant.alerting`: renders Alertmanager's configuration from the settings ALERT_*."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sextant.alerting.configuration import configuration
from sextant.alerting.files import as_text, configuration_file, masked, read_secrets, write
from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings, load_settings

WRONG_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Render as the arguments say; 0, or 2 after one line when a setting, a secret or the disk is wrong."""
    options = _parser().parse_args(arguments)
    try:
        _render(load_settings(), options.output)
    except Fatal as error:
        sys.stderr.write(f"alerting: {error}\n")
        return WRONG_INPUT
    return 0


def _render(settings: Settings, output: str | None) -> None:
    secrets = read_secrets(settings)
    if output == "-":
        sys.stdout.write(as_text(configuration(settings, masked(secrets))))
        return
    write(configuration(settings, secrets), Path(output) if output else configuration_file(settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sextant.alerting", description=__doc__)
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="where to write (default: DATA_DIR/alertmanager/alertmanager.yml), templates beside it; "
        "- prints it with secrets masked",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
