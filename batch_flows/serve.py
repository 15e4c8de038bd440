"""`python -m batch_flows.serve`: schedules the flows on the Prefect server and runs what is due."""

import logging
import signal
import sys
import time

import structlog

from batch_flows.orchestration.settings import prepare_environment, server_answers
from sextant.contracts.errors import Fatal
from sextant.infrastructure.logs import configure_logging
from sextant.infrastructure.settings import Settings, load_settings

RETRY_SECONDS = 2.0
REMIND_SECONDS = 30.0

log = structlog.get_logger(__name__)


def wait_for_server(settings: Settings) -> None:
    """Return once the Prefect server answers, saying now and then what is being waited for; raises Fatal."""
    said = -REMIND_SECONDS
    while not server_answers(settings):
        if time.monotonic() - said >= REMIND_SECONDS:
            log.warning("waiting for the Prefect server", url=settings.prefect_api_url)
            said = time.monotonic()
        time.sleep(RETRY_SECONDS)


def serve_forever(settings: Settings) -> None:
    """Serve, and begin again when the Prefect server was away for longer than its client puts up with."""
    from batch_flows.orchestration.runner import serve_until_stopped
    from batch_flows.orchestration.schedule import deployments

    while True:
        wait_for_server(settings)
        try:
            serve_until_stopped(lambda: deployments(settings))
        except Exception as error:  # noqa: BLE001  Prefect raises what its HTTP client and task groups do
            log.error("serving was interrupted; restarting", reason=f"{type(error).__name__}: {error}"[:300])
            time.sleep(RETRY_SECONDS)


def main() -> int:
    """Serve until stopped; a wrong setting, such as the password, ends it with one line and code 2."""
    # Neither is certain: a container's first process ignores SIGTERM, a shell's background process SIGINT.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        settings = load_settings()
        prepare_environment(settings)
        configure_logging("flows", settings.log_level)
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every poll
        serve_forever(settings)
    except Fatal as error:
        sys.stderr.write(f"flows: {error}\n")
        return 2
    except KeyboardInterrupt:
        log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
