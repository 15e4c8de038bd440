"""The relay process: delivers the outbox's events to MongoDB and to monitoring, each with its own cursor."""

import fcntl
import os
import signal
import sys
import threading
from pathlib import Path

import structlog
from prometheus_client import disable_created_metrics

from prediction_service.delivery import Delivery
from prediction_service.outbox import Outbox
from prediction_service.relay_http import serve
from prediction_service.relay_metrics import RelayMetrics
from prediction_service.sinks import MongoSink, MonitoringSink
from sextant.contracts.errors import Fatal, Retryable
from sextant.infrastructure.doors import keys_of, require_closed_doors
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.events_token import events_token
from sextant.infrastructure.logs import configure_logging
from sextant.infrastructure.settings import Settings, load_settings

log = structlog.get_logger(__name__)


def run(settings: Settings, stop: threading.Event) -> None:
    """Relay until `stop` is set; raises Fatal when the outbox is corrupt or another relay has it."""

    def open_outbox() -> Outbox:
        return Outbox(settings.outbox_file, settings.outbox_max_bytes)

    keys = keys_of(settings)
    require_closed_doors(settings, keys)
    metrics = RelayMetrics(open_outbox, settings.outbox_max_bytes)
    lock = _lock_alone(settings.outbox_file)
    store = EventStore.connect(settings.mongodb_uri, settings.mongodb_database)
    deliveries = [
        Delivery(open_outbox, MongoSink(store), on_failure=metrics.count_failure),
        Delivery(
            open_outbox,
            MonitoringSink(settings.monitoring_url, events_token(settings)),
            max_backlog=settings.monitoring_max_backlog,
            on_failure=metrics.count_failure,
        ),
    ]
    server = serve(settings, metrics.registry, keys)
    threads = [threading.Thread(target=delivery.run, args=(stop,)) for delivery in deliveries]
    for thread in threads:
        thread.start()
    log.info("relay started", outbox=str(settings.outbox_file))
    _wait(threads, stop)
    server.shutdown()
    metrics.close()
    store.close()
    os.close(lock)
    log.info("relay stopped")


def _wait(threads: list[threading.Thread], stop: threading.Event) -> None:
    """Until all threads have ended; one that died takes the others down, and the process is started anew."""
    while all(thread.is_alive() for thread in threads):
        if stop.wait(0.5):
            break
    died = not stop.is_set()
    stop.set()
    for thread in threads:
        thread.join()
    if died:
        raise Fatal("a delivery thread ended unexpectedly; the log has its error")


def _lock_alone(outbox: Path) -> int:
    descriptor = os.open(outbox.with_name(outbox.name + ".relay"), os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Fatal(f"another relay is already running on {outbox}") from None
    return descriptor


def main() -> None:
    """Run until SIGTERM or SIGINT, or stop with one line."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings()
        configure_logging("relay", settings.log_level)
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody reads
        run(settings, stop)
    except (Fatal, Retryable) as error:  # whoever started it starts it again
        sys.exit(f"relay: {error}")


if __name__ == "__main__":
    main()
