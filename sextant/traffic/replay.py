"""Replays traffic against the prediction service: threads, progress and counts."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from sextant.traffic.client import Client, Reply, SendStats
from sextant.traffic.feedback import DelayedFeedback
from sextant.traffic.rows import PredictRequest

SECONDS_TO_STOP = 35.0
"""Requests under way are waited for, since they may still be accepted; just longer than their time-out."""


@dataclass
class Replay:
    """The collaborators of one replay."""

    model: str
    make_client: Callable[[], Client]
    stop: threading.Event
    concurrency: int
    accepted: Callable[[list[str]], None]
    feedback: DelayedFeedback | None
    stats: SendStats = field(default_factory=lambda: SendStats("predictions"))
    _ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0), repr=False)

    def run(self, requests: Iterable[PredictRequest], total: int) -> bool:
        """Send all requests; False when the user stopped it before the end."""
        progress = tqdm(total=total, unit="prediction", desc=self.model, disable=None)
        with stopped_by_signals(self.stop), progress as bar:
            feed = Feed(requests, time.monotonic)
            names = [f"sender-{number}" for number in range(self.concurrency)]
            threads = [
                threading.Thread(target=self._send_all, args=(feed, bar), name=n, daemon=True) for n in names
            ]
            for thread in threads:
                thread.start()
            return self._wait_for(threads)

    def _wait_for(self, threads: list[threading.Thread]) -> bool:
        ended, deadline = 0, float("inf")
        while ended < len(threads) and time.monotonic() < deadline:
            # Not join(): Python 3.11 believes a thread has ended when a signal interrupts the wait for it.
            ended += self._ended.acquire(timeout=0.2)
            if self.stop.is_set():
                deadline = min(deadline, time.monotonic() + SECONDS_TO_STOP)
        return not self.stop.is_set()

    def _send_all(self, feed: "Feed", bar: "tqdm[Any]") -> None:
        client = self.make_client()
        try:
            while not self.stop.is_set() and (due := feed.next()) is not None:
                start, request = due
                if (early := start - time.monotonic()) > 0 and self.stop.wait(early):
                    return
                self._send(client, request)
                bar.update(len(request.records))
        finally:
            client.close()
            self._ended.release()

    def _send(self, client: Client, request: PredictRequest) -> None:
        records = list(request.records)
        reply = client.post(f"/models/{self.model}/predict", records[0] if len(records) == 1 else records)
        self.stats.count(reply, len(records))
        if reply.status == 200:
            names = acknowledged(reply)
            self.accepted(names)
            if self.feedback is not None:
                self.feedback.add({name: request.targets[name] for name in names if name in request.targets})


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM set `stop`; a second one interrupts.

    An exception is lost where it is raised in a callback of the garbage collector, and the replay would go on.
    """

    def ask(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def acknowledged(reply: Reply) -> list[str]:
    """The prediction ids in the response to one record or to a list."""
    body = reply.body if isinstance(reply.body, dict) else {}
    return [one["prediction_id"] for one in body.get("predictions", [body]) if "prediction_id" in one]


class Feed:
    """Hands out requests to the threads, each with the moment at which it is to be sent."""

    def __init__(self, requests: Iterable[PredictRequest], clock: Callable[[], float]) -> None:
        self._requests: Iterator[PredictRequest] = iter(requests)
        self._lock, self._start = threading.Lock(), clock()

    def next(self) -> tuple[float, PredictRequest] | None:
        """The next request and its moment on the clock; None when all are handed out."""
        with self._lock:
            request = next(self._requests, None)
            return None if request is None else (self._start + request.due, request)
