"""Talks to the prediction service over HTTP: waits while it is down, retries what is safe, counts the results."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import requests

RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
"""Safe to send again: the ids are the client's, so what was stored already is not stored twice."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
LONGEST_RETRY_AFTER = 60.0
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to one request: status None when there was none; `seconds` is the last attempt's time."""

    status: int | None
    body: Any
    seconds: float
    retries: int


class Outage:
    """Says once that the service is away, and once that it is back, however many threads notice."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._lock, self._away = say, threading.Lock(), False

    def began(self, url: str) -> None:
        """The service at this address did not answer."""
        with self._lock:
            if not self._away:
                self._say(f"the prediction service at {url} does not answer; waiting for it ...")
            self._away = True

    def ended(self) -> None:
        """The service has answered."""
        with self._lock:
            if self._away:
                self._say("the prediction service answers")
            self._away = False


class Client:
    """One connection to the prediction service, for one thread.

    A request is retried for `retry_seconds`; `wait` sleeps and returns True to give up, as
    `threading.Event.wait` does.
    """

    def __init__(
        self,
        url: str,
        *,
        outage: Outage,
        wait: Callable[[float], bool],
        retry_seconds: float,
        api_key: str | None = None,
    ) -> None:
        self._url, self._outage, self._wait = url.rstrip("/"), outage, wait
        self._retry_seconds = retry_seconds
        self._session = requests.Session()
        self._session.headers["Content-Type"] = "application/json"
        if api_key:
            self._session.headers["X-API-Key"] = api_key

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def wait_until_up(self) -> bool:
        """Return once the service answers anything; False when time runs out or the user gives up."""
        return self._with_retries("GET", "/healthz", None, lambda _status: True).status is not None

    def post(self, path: str, content: Any) -> Reply:
        """POST as JSON, again and again while the service is away or asks for it."""
        body = orjson.dumps(content)
        return self._with_retries("POST", path, body, lambda status: status not in RETRYABLE_STATUSES)

    def _with_retries(self, method: str, path: str, body: bytes | None, final: Callable[[int], bool]) -> Reply:
        deadline, pause, retries = time.monotonic() + self._retry_seconds, FIRST_PAUSE, 0
        while True:
            reply, asked = self._once(method, path, body, retries)
            if reply.status is not None and final(reply.status):
                return reply
            rest = pause if asked is None else asked
            if time.monotonic() + rest > deadline or self._wait(rest):
                return reply
            pause, retries = min(2 * pause, LONGEST_PAUSE), retries + 1

    def _once(self, method: str, path: str, body: bytes | None, retries: int) -> tuple[Reply, float | None]:
        """One attempt, and the pause that the service asked for, if it did."""
        start = time.monotonic()
        try:
            response = self._session.request(
                method, self._url + path, data=body, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
            )
        except requests.RequestException:
            self._outage.began(self._url)
            return Reply(None, None, time.monotonic() - start, retries), None
        seconds = time.monotonic() - start
        self._outage.ended()
        return Reply(response.status_code, _json(response), seconds, retries), _retry_after(response)


def _json(response: requests.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def _retry_after(response: requests.Response) -> float | None:
    """Seconds from Retry-After; the header's other form, a date, is left to our own back-off."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_RETRY_AFTER) if asked.isdecimal() else None


@dataclass
class SendStats:
    """How many rows were accepted or failed, and how long the requests took; safe to share between threads.

    `name` is what is counted.
    """

    name: str
    accepted: int = 0
    retries: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, reply: Reply, rows: int) -> None:
        """Add one request that carried so many rows."""
        with self._lock:
            self.retries += reply.retries
            if reply.status is not None and reply.status < 300:
                self.accepted += rows
                self.seconds.append(reply.seconds)
            else:
                status = "no answer" if reply.status is None else f"HTTP {reply.status}"
                self.failed[status] += rows
                self.reasons.setdefault(status, _reason(reply.body))

    @property
    def all_accepted(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def table(self, elapsed: float = 0) -> str:
        """The counts as lines for people; with the speed, if the time that it took (seconds) is given."""
        speed = f"  in {elapsed:.1f} s ({self.accepted / elapsed:,.0f} a second)" if elapsed > 0 else ""
        lines = [f"{self.name:<14} {self.accepted:>9,} accepted{speed}"]
        if self.retries:
            lines.append(f"{'':<14} {self.retries:>9,} retries")
        for status, rows in sorted(self.failed.items()):
            lines.append(f"{'':<14} {rows:>9,} failed: {status}  {self.reasons[status]}".rstrip())
        if self.seconds:
            lines.append(f"{'latency':<14} {_latencies(self.seconds)}")
        return "\n".join(lines)


def _reason(problem: Any) -> str:
    """The sentence of a problem+json, with the fields that it names."""
    if not isinstance(problem, Mapping):
        return ""
    errors = problem.get("errors")
    return str(problem.get("detail", "")) + (f" {errors}"[:300] if errors else "")


def _latencies(seconds: list[float]) -> str:
    values = dict(zip(PERCENTILES, np.percentile(seconds, PERCENTILES), strict=True))
    parts = [f"p{percent} {value * 1_000:.1f} ms" for percent, value in values.items()]
    return "   ".join([*parts, f"max {max(seconds) * 1_000:.1f} ms"])
