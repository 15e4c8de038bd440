"""Replays traffic against the prediction service: threads, pace, progress, and what became of every row."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from sextant.traffic.client import Answer, Client
from sextant.traffic.feedback import DelayedFeedback
from sextant.traffic.rows import Shipment
from sextant.traffic.tally import Tally

SECONDS_TO_STOP = 35.0
"""A request that is under way is waited for, since it may still be accepted; longer than its time-out never."""


@dataclass
class Replay:
    """The collaborators and the pace of one replay; `rate` is records a second, None as fast as it goes."""

    model: str
    make_client: Callable[[], Client]
    stop: threading.Event
    concurrency: int
    rate: float | None
    accepted: Callable[[list[str]], None]
    feedback: DelayedFeedback | None
    clock: Callable[[], float] = time.monotonic
    tally: Tally = field(default_factory=lambda: Tally("predictions"))
    _ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0), repr=False)

    def run(self, shipments: Iterable[Shipment], total: int) -> bool:
        """Send all shipments; False when the user stopped it before the end."""
        with tqdm(total=total, unit="prediction", desc=self.model, disable=None) as bar:
            feed = Feed(shipments, self.rate, self.clock)
            names = [f"sender-{number}" for number in range(self.concurrency)]
            threads = [
                threading.Thread(target=self._send_all, args=(feed, bar), name=n, daemon=True) for n in names
            ]
            for thread in threads:
                thread.start()
            return self._wait_for(threads)

    def _wait_for(self, threads: list[threading.Thread]) -> bool:
        try:
            for _ in threads:
                # Not join(): Python 3.11 takes a thread for ended when Ctrl-C interrupts the wait for it.
                while not self._ended.acquire(timeout=0.2):  # in slices, so that Ctrl-C is heard
                    pass
        except KeyboardInterrupt:
            self.stop.set()
            deadline = time.monotonic() + SECONDS_TO_STOP
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            return False
        return True

    def _send_all(self, feed: "Feed", bar: "tqdm[Any]") -> None:
        client = self.make_client()
        try:
            while not self.stop.is_set() and (due := feed.next()) is not None:
                start, shipment = due
                if start > self.clock() and self.stop.wait(start - self.clock()):
                    return
                self._send(client, shipment)
                bar.update(len(shipment.records))
        finally:
            client.close()
            self._ended.release()

    def _send(self, client: Client, shipment: Shipment) -> None:
        records = list(shipment.records)
        answer = client.post(f"/models/{self.model}/predict", records[0] if len(records) == 1 else records)
        self.tally.count(answer, len(records))
        if answer.status == 200:
            names = acknowledged(answer)
            self.accepted(names)
            if self.feedback is not None:
                self.feedback.add({name: shipment.targets[name] for name in names if name in shipment.targets})


def acknowledged(answer: Answer) -> list[str]:
    """The prediction ids in the answer to one record or to a list."""
    body = answer.body if isinstance(answer.body, dict) else {}
    return [one["prediction_id"] for one in body.get("predictions", [body]) if "prediction_id" in one]


class Feed:
    """Hands out shipments to the threads, each with the moment at which it is to be sent."""

    def __init__(self, shipments: Iterable[Shipment], rate: float | None, clock: Callable[[], float]) -> None:
        self._shipments: Iterator[Shipment] = iter(shipments)
        self._rate, self._lock = rate, threading.Lock()
        self._start, self._sent = clock(), 0

    def next(self) -> tuple[float, Shipment] | None:
        """The next shipment and its moment on the clock; None when all are handed out."""
        with self._lock:
            shipment = next(self._shipments, None)
            if shipment is None:
                return None
            moment = self._start + (self._sent / self._rate if self._rate else 0.0)
            self._sent += len(shipment.records)
            return moment, shipment
