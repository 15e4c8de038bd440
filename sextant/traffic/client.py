"""Talks to the prediction service over HTTP: waits while it is away and retries what is safe to retry."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import requests

TRY_AGAIN = frozenset({429, 502, 503, 504})
"""Safe to send again: the ids are the client's, so what was stored already is not stored twice."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
LONGEST_RETRY_AFTER = 60.0
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request: status None when nothing did; `seconds` is the last attempt's time."""

    status: int | None
    body: Any
    seconds: float
    retries: int


class Outage:
    """Says once that the service is away, and once that it is back, however many threads find out."""

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

    `patience` is how long (seconds) a request is tried again; `wait` sleeps and returns True to give up, as
    `threading.Event.wait` does.
    """

    def __init__(
        self,
        url: str,
        *,
        outage: Outage,
        wait: Callable[[float], bool],
        patience: float,
        api_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._outage, self._wait = url.rstrip("/"), outage, wait
        self._patience, self._clock = patience, clock
        self._session = requests.Session()
        self._session.headers["Content-Type"] = "application/json"
        if api_key:
            self._session.headers["X-API-Key"] = api_key

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def wait_until_up(self) -> bool:
        """Return once the service answers anything; False when patience ends or the user gives up."""
        return self._patiently("GET", "/healthz", None, lambda _status: True).status is not None

    def post(self, path: str, content: Any) -> Answer:
        """POST as JSON, again and again while the service is away or asks for it."""
        return self._patiently("POST", path, orjson.dumps(content), lambda status: status not in TRY_AGAIN)

    def _patiently(self, method: str, path: str, body: bytes | None, final: Callable[[int], bool]) -> Answer:
        deadline, pause, retries = self._clock() + self._patience, FIRST_PAUSE, 0
        while True:
            answer, asked = self._once(method, path, body, retries)
            if answer.status is not None and final(answer.status):
                return answer
            rest = pause if asked is None else asked
            if self._clock() + rest > deadline or self._wait(rest):
                return answer
            pause, retries = min(2 * pause, LONGEST_PAUSE), retries + 1

    def _once(self, method: str, path: str, body: bytes | None, retries: int) -> tuple[Answer, float | None]:
        """One attempt, and the pause that the service asked for, if it did."""
        start = self._clock()
        try:
            response = self._session.request(
                method, self._url + path, data=body, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
            )
        except requests.RequestException:
            self._outage.began(self._url)
            return Answer(None, None, self._clock() - start, retries), None
        seconds = self._clock() - start
        self._outage.ended()
        return Answer(response.status_code, _json(response), seconds, retries), _retry_after(response)


def _json(response: requests.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def _retry_after(response: requests.Response) -> float | None:
    """Seconds from Retry-After; the header's other form, a date, is left to our own back-off."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_RETRY_AFTER) if asked.isdecimal() else None
