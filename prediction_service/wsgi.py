"""The composition point of a prediction worker: real collaborators, made after the fork."""

import atexit
import gc
import os

from flask import Flask

from prediction_service.app import create_app
from prediction_service.live_models import LiveModels
from prediction_service.metrics import CpuPrice, Metrics
from prediction_service.outbox import Outbox
from prediction_service.process_metrics import ProcessesCollector
from prediction_service.service import PredictionService
from sextant.contracts.errors import Retryable
from sextant.infrastructure.logs import configure_logging
from sextant.infrastructure.settings import load_settings


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
    app = create_app(settings, service, metrics, outbox_problem)
    gc.freeze()  # what is loaded now stays; the garbage collector need not look through it during requests
    return app
