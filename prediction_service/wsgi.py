"""The composition point of a prediction worker: real collaborators, made after the fork."""

import atexit
import gc
import os
from pathlib import Path

from flask import Flask

from prediction_service.app import create_app
from prediction_service.live_models import LiveModels
from prediction_service.metrics import CpuPrice, Metrics
from prediction_service.outbox import Outbox
from prediction_service.process_metrics import ProcessesCollector
from prediction_service.rate_limit import RateLimit
from prediction_service.service import PredictionService
from sextant.contracts.errors import Retryable
from sextant.infrastructure.doors import keys_of
from sextant.infrastructure.logs import configure_logging
from sextant.infrastructure.settings import Settings, load_settings, multiprocess_dir

RATE_LIMIT_FILE = "rate-limit"
"""Among the workers' metrics, where a file whose name ends in .db would be taken for one of them."""


def application() -> Flask:
    """The app of one worker process."""
    settings = load_settings()
    configure_logging("prediction", settings.log_level)
    models = LiveModels(settings.models_dir, settings.trusted_types)
    models.watch()
    outbox = Outbox(settings.outbox_file, settings.outbox_max_bytes)
    atexit.register(outbox.close)
    service = PredictionService(models, outbox, settings.default_model, max_record_bytes=settings.max_record_bytes)

    def outbox_problem() -> str | None:
        try:
            outbox.check_writable()
        except Retryable as error:
            return str(error)
        return None

    metrics = Metrics(at_scrape=[ProcessesCollector(os.getppid()), CpuPrice(settings.cpu_price_per_hour)])
    app = create_app(
        settings, service, metrics, outbox_problem, keys=keys_of(settings), rate_limit=_rate_limit(settings)
    )
    gc.freeze()  # what is loaded now stays; the garbage collector need not look through it during requests
    return app


def _rate_limit(settings: Settings) -> RateLimit | None:
    shared = multiprocess_dir()
    file = Path(shared) / RATE_LIMIT_FILE if shared else None
    return RateLimit(settings.rate_limit, file) if settings.rate_limit else None
