"""The relay's loop for one sink: read a batch, deliver it, move the cursor; wait longer after each failure."""

import random
import sqlite3
import threading
from collections.abc import Callable, Sequence

import structlog

from prediction_service.outbox import Outbox
from prediction_service.outbox_types import QueuedEvent
from prediction_service.sinks import Sink
from sextant.contracts.errors import Retryable

BATCH_SIZE = 500
BATCH_BYTES = 4 << 20
"""Where a batch of large events ends: as BSON and as Python objects it takes several times as much memory."""

MOST_HALVINGS = 6  # down to 7 events or 64 KiB, which is one event of the greatest size
POLL_SECONDS = 0.1
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 10.0
log = structlog.get_logger(__name__)


class Delivery:
    """Delivers the outbox to one sink until it is told to stop."""

    def __init__(
        self,
        open_outbox: Callable[[], Outbox],
        sink: Sink,
        *,
        max_backlog: int | None = None,
        on_failure: Callable[[str], None] = lambda _sink: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`max_backlog`: skip ahead when more events wait; None: never skip."""
        self._open_outbox = open_outbox
        self._sink = sink
        self._max_backlog = max_backlog
        self._on_failure = on_failure
        self._jitter = jitter
        self._failures = 0

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; a batch under way is finished first."""
        outbox = self._open_outbox()
        try:
            while not stop.is_set():
                if outbox.replaced:
                    try:
                        fresh = self._open_outbox()
                    except Retryable as error:
                        stop.wait(self._failed(error))
                        continue
                    outbox.close()
                    outbox = fresh
                stop.wait(self.step(outbox))
        finally:
            outbox.close()

    def step(self, outbox: Outbox) -> float:
        """Deliver one batch; returns the seconds to wait before the next."""
        try:
            return self._deliver_batch(outbox)
        except (Retryable, sqlite3.Error) as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        self._on_failure(self._sink.name)
        pause = self._backoff()
        log.warning("delivery failed", sink=self._sink.name, reason=str(error), retry_in_seconds=round(pause, 2))
        return pause

    def _deliver_batch(self, outbox: Outbox) -> float:
        if self._max_backlog is not None and outbox.lag(self._sink.name) > self._max_backlog:
            skipped = outbox.skip_to_newest(self._sink.name, self._max_backlog)
            log.warning("skipped ahead", sink=self._sink.name, skipped=skipped)
        halved = min(self._failures, MOST_HALVINGS)  # a sink that does not manage a batch in time may manage half
        count, size = BATCH_SIZE >> halved, BATCH_BYTES >> halved
        events = outbox.queued(self._sink.name, count, size)
        if not events:
            outbox.shrink()
            return POLL_SECONDS
        refused = self._sink.deliver(events)
        outbox.settle(self._sink.name, events, refused)
        for refusal in refused:
            log.error("dead letter", sink=self._sink.name, seq=refusal.seq, reason=refusal.reason)
        if self._failures:
            log.info("delivery works again", sink=self._sink.name, after_failures=self._failures)
            self._failures = 0
        outbox.shrink()
        return 0.0 if len(events) == count or _bytes(events) >= size else POLL_SECONDS

    def _backoff(self) -> float:
        longest = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(self._failures - 1, 10))
        return longest * (0.5 + 0.5 * self._jitter())


def _bytes(events: Sequence[QueuedEvent]) -> int:
    return sum(len(event.body) for event in events)
