"""The composition point of the monitoring process: real collaborators, made after gunicorn's fork."""

import atexit
import gc
import sys
import warnings

from flask import Flask

from monitoring_service.app import create_app
from monitoring_service.service import MonitoringService
from sextant.contracts.errors import Fatal
from sextant.infrastructure.doors import keys_of
from sextant.infrastructure.events_token import events_token
from sextant.infrastructure.logs import configure_logging
from sextant.infrastructure.settings import load_settings

APP_LOAD_ERROR = 4  # tells gunicorn not to start the worker again


def application() -> Flask:
    """The app with its service running; stops the process with one line when it cannot."""
    try:
        settings = load_settings()
        configure_logging("monitoring", settings.log_level)
        token, keys = events_token(settings), keys_of(settings)
        service = MonitoringService.with_mongodb(settings)
    except Fatal as error:
        sys.stderr.write(f"monitoring service: {error}\n")
        sys.exit(APP_LOAD_ERROR)
    # scikit-learn and scipy warn about odd columns on every evaluation; what failed is counted and shown instead.
    warnings.simplefilter("ignore")
    # What Evidently and pandas brought stays for good: looking through it stops requests for a quarter second.
    gc.collect()
    gc.freeze()
    service.start()
    atexit.register(service.stop)
    return create_app(settings, service, token, keys=keys)
