"""Sends targets to the service, in batches, some time after the predictions."""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sextant.contracts.events import Value
from sextant.traffic.client import Client, SendStats

BATCH_SIZE = 500
LINGER = 0.25
"""Seconds that a due target waits for others, so that they travel together."""

Item = Mapping[str, Any]


def send_targets(client: Client, items: Sequence[Item], stats: SendStats) -> None:
    """POST at most BATCH_SIZE items; when the batch is refused, find the items that are to blame."""
    reply = client.post("/feedback", list(items))
    if reply.status in (413, 422) and len(items) > 1:
        half = len(items) // 2
        send_targets(client, items[:half], stats)
        send_targets(client, items[half:], stats)
    else:
        stats.count(reply, len(items))


class DelayedFeedback:
    """A thread that sends each target `delay` seconds after it was added."""

    def __init__(self, client: Client, model: str, delay: float, stats: SendStats) -> None:
        self._client, self._model, self._delay = client, model, delay
        self.stats = stats
        self._waiting: deque[tuple[float, Item]] = deque()
        self._changed = threading.Condition()
        self._complete = self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)
        self._thread.start()

    def add(self, targets: Mapping[str, Value]) -> None:
        """Targets by prediction id."""
        due = time.monotonic() + self._delay
        with self._changed:
            for name, target in targets.items():
                self._waiting.append((due, {"prediction_id": name, "target": target, "model": self._model}))
            self._changed.notify()

    @property
    def pending(self) -> int:
        """How many targets have not been sent yet."""
        return len(self._waiting)

    def complete(self) -> None:
        """Nothing more will be added: the thread ends once everything is sent."""
        self._end(cancelled=False)

    def cancel(self) -> None:
        """Send nothing more; what is pending stays unsent."""
        self._end(cancelled=True)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread; True when it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _end(self, *, cancelled: bool) -> None:
        with self._changed:
            self._complete, self._cancelled = True, self._cancelled or cancelled
            self._changed.notify()

    def _run(self) -> None:
        while items := self._next_batch():
            send_targets(self._client, items, self.stats)
        self._client.close()

    def _next_batch(self) -> list[Item]:
        """The items that are due, once there are some; none when the thread should end."""
        with self._changed:
            while not self._cancelled and not (self._complete and not self._waiting):
                rest = self._waiting[0][0] + LINGER - time.monotonic() if self._waiting else None
                if rest is not None and rest <= 0:
                    return self._take_due()
                self._changed.wait(rest)
            return []

    def _take_due(self) -> list[Item]:
        now = time.monotonic()
        items: list[Item] = []
        while self._waiting and self._waiting[0][0] <= now and len(items) < BATCH_SIZE:
            items.append(self._waiting.popleft()[1])
        return items
