"""`python -m batch_flows.serve`: schedules the flows on the Prefect server and runs what is due."""

import signal
import sys
import time

import structlog

from batch_flows.prefect_settings import prepare_environment, server_answers
from contracts.errors import SettingsError
from contracts.logs import configure_logging
from contracts.settings import load_settings

CONCURRENT_RUNS = 2
RETRY_SECONDS = 2.0
REMIND_SECONDS = 30.0

log = structlog.get_logger(__name__)


def wait_for_server(api_url: str) -> None:
    """Return once the Prefect server answers; until then, say now and then what is being waited for."""
    said = -REMIND_SECONDS
    while not server_answers(api_url):
        if time.monotonic() - said >= REMIND_SECONDS:
            log.warning("waiting for the Prefect server", url=api_url)
            said = time.monotonic()
        time.sleep(RETRY_SECONDS)


def main() -> int:
    """Serve until stopped; a wrong setting ends it with one line and code 2."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as the first process of a container it has no default
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"flows: {error}\n")
        return 2
    configure_logging("flows", settings.log_level)
    prepare_environment(settings)
    wait_for_server(settings.prefect_api_url)

    from prefect import serve

    from batch_flows.schedule import deployments

    planned = deployments(settings)
    log.info("serving", deployments=[f"{plan.flow_name}/{plan.name}" for plan in planned])
    serve(*planned, limit=CONCURRENT_RUNS, print_starting_message=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
