"""Starts the prediction service: checks everything once, then becomes gunicorn."""

import os
import sys
import time
from contextlib import closing
from pathlib import Path

import structlog

from prediction_service.errors import ModelUnavailable, UnknownModel
from prediction_service.live_models import LiveModels
from prediction_service.metrics_folder import make_metrics_folder
from prediction_service.outbox import Outbox
from prediction_service.outbox_recovery import recover_if_corrupt
from sextant.contracts.errors import Fatal, Retryable, SettingsError
from sextant.infrastructure.doors import keys_of, require_closed_doors
from sextant.infrastructure.logs import configure_logging
from sextant.infrastructure.settings import Settings, child_environment, load_settings

log = structlog.get_logger(__name__)


def prepare(settings: Settings) -> Path:
    """Verify keys, models and outbox and make the folder of the metrics, which is returned; raises Fatal."""
    require_closed_doors(settings, keys_of(settings))
    models = LiveModels(settings.models_dir, settings.trusted_types)
    try:
        models[settings.default_model]
    except UnknownModel as error:
        raise SettingsError(f"DEFAULT_MODEL: {error}") from None
    except ModelUnavailable as error:
        log.error("the default model cannot be served", reason=str(error))
    recovery = recover_if_corrupt(settings.outbox_file, settings.outbox_max_bytes, time.time())
    if recovery:
        log.critical(
            "the outbox was corrupt and has been replaced; what could be read is queued again",
            damage=recovery.damage,
            set_aside=str(recovery.aside),
            recovered=recovery.salvaged.recovered,
            unreadable=recovery.salvaged.unreadable,
        )
    with closing(Outbox(settings.outbox_file, settings.outbox_max_bytes)):
        pass  # it can be opened, and is there before the workers come
    return make_metrics_folder(settings).path


def main() -> None:
    """Become gunicorn, or stop with one line."""
    try:
        settings = load_settings()
        configure_logging("prediction", settings.log_level)
        metrics_dir = prepare(settings)
    except (Fatal, Retryable) as error:
        sys.exit(f"prediction service: {error}")
    config = Path(__file__).with_name("gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "-c", str(config)]
    # prometheus_client looks for the variable when it is first imported, so it is set before Python starts.
    os.execve(sys.executable, command, child_environment(PROMETHEUS_MULTIPROC_DIR=str(metrics_dir.resolve())))


if __name__ == "__main__":
    main()
