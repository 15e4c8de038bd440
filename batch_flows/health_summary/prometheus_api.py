"""Prometheus' HTTP API, read only: what the health summary asks about the past."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import orjson

from sextant.contracts.errors import Rejected, Retryable

QUERY_IS_WRONG = (400, 422)
CHUNK_BYTES = 1 << 16


class PrometheusAway(Retryable):
    """Prometheus does not answer in time, or not as Prometheus does."""


class QueryRefused(Rejected):
    """Prometheus answers, but not this query."""


@dataclass(frozen=True, slots=True)
class Series:
    """One time series of an answer: its labels and its finite values, oldest first."""

    labels: Mapping[str, str]
    points: Sequence[tuple[datetime, float]]


class PrometheusApi:
    """Instant and range queries; each gives up after `timeout` seconds."""

    def __init__(self, url: str, *, timeout: float = 15.0) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._name = f"Prometheus ({urlsplit(url).netloc.rpartition('@')[2]})"

    def instant(self, query: str, at: datetime) -> list[Series]:
        """What the query gives at a moment; raises PrometheusAway or QueryRefused."""
        return self._ask("query", query=query, time=at.timestamp())

    def over(self, query: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
        """What the query gives at start, start + step … end; raises PrometheusAway or QueryRefused."""
        times = {"start": start.timestamp(), "end": end.timestamp(), "step": step.total_seconds()}
        return self._ask("query_range", query=query, **times)

    def _ask(self, path: str, **parameters: str | float) -> list[Series]:
        url = f"{self._url}/api/v1/{path}?{urlencode({**parameters, 'timeout': f'{self._timeout:g}s'})}"
        try:
            answer = orjson.loads(self._fetch(url))
            return [_series(row) for row in answer["data"]["result"]]
        except HTTPError as error:
            raise self._refused_or_away(error) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise PrometheusAway(f"{self._name} does not answer: {reason}") from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise PrometheusAway(f"{self._name} does not respond like Prometheus") from None

    def _fetch(self, url: str) -> bytes:
        deadline = time.monotonic() + self._timeout
        with urlopen(url, timeout=self._timeout) as answer:  # noqa: S310 - settings allow http(s) only
            return _read(answer, deadline)

    def _refused_or_away(self, error: HTTPError) -> PrometheusAway | QueryRefused:
        if error.code not in QUERY_IS_WRONG:
            return PrometheusAway(f"{self._name} answers with status {error.code}")
        try:
            reason = str(orjson.loads(error.read())["error"])[:300]
        except (ValueError, KeyError, TypeError, OSError, HTTPException):
            reason = f"status {error.code}"
        return QueryRefused(f"{self._name} refuses a query: {reason}")


def _read(answer: HTTPResponse, deadline: float) -> bytes:
    """The whole body; the socket's own time-out would start anew with every byte."""
    body = bytearray()
    while chunk := answer.read1(CHUNK_BYTES):
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
        body += chunk
    return bytes(body)


def _series(row: Mapping[str, Any]) -> Series:
    values = row["values"] if "values" in row else [row["value"]]
    points = [(datetime.fromtimestamp(moment, UTC), float(value)) for moment, value in values]
    return Series(dict(row["metric"]), [point for point in points if math.isfinite(point[1])])
