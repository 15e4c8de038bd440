"""Starts the monitoring service: checks settings and bundles once, then becomes gunicorn."""

import os
import sys
from pathlib import Path

from sextant.contracts.errors import BundleError, Fatal
from sextant.contracts.model_bundle import load_bundle, model_names
from sextant.infrastructure.settings import Settings, load_settings

WRONG_SETUP = 2


def check(settings: Settings) -> None:
    """Raise BundleError unless every model's live bundle is there and whole."""
    names = model_names(settings.models_dir)
    if not names:
        raise BundleError(f"there is no model in {settings.models_dir}; run: python prepare.py")
    for name in names:
        load_bundle(settings.models_dir, name)


def main() -> None:
    """Become gunicorn, or stop with one line."""
    try:
        check(load_settings())
    except Fatal as error:
        sys.stderr.write(f"monitoring service: {error}\n")
        sys.exit(WRONG_SETUP)
    config = Path(__file__).with_name("gunicorn.conf.py")
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", str(config)])


if __name__ == "__main__":
    main()
