"""Starts the monitoring service: checks settings and bundles once, then becomes gunicorn."""

import os
import sys
from pathlib import Path

from sextant.contracts.errors import BundleError, Fatal
from sextant.contracts.model_bundle import load_bundle, model_names
from sextant.infrastructure.doors import keys_of, require_closed_doors
from sextant.infrastructure.events_token import events_token
from sextant.infrastructure.settings import Settings, load_settings

WRONG_SETUP = 2


def check(settings: Settings) -> None:
    """Raise BundleError unless some model's live bundle is there and whole."""
    failures = []
    for name in model_names(settings.models_dir):
        try:
            load_bundle(settings.models_dir, name)
            return
        except BundleError as error:
            failures.append(str(error))
    raise BundleError("; ".join(failures) or f"there is no model in {settings.models_dir}; run: python prepare.py")


def main() -> None:
    """Become gunicorn, or stop with one line."""
    try:
        settings = load_settings()
        check(settings)
        events_token(settings)
        require_closed_doors(settings, keys_of(settings))
    except Fatal as error:
        sys.stderr.write(f"monitoring service: {error}\n")
        sys.exit(WRONG_SETUP)
    config = Path(__file__).with_name("gunicorn.conf.py")
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", str(config)])


if __name__ == "__main__":
    main()
