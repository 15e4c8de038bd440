"""The relay's sinks: MongoDB, which must receive every event, and monitoring, which needs the current ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson
import requests

from prediction_service.errors import SinkUnavailable
from prediction_service.outbox_types import EventKind, QueuedEvent, RefusedEvent
from sextant.contracts.errors import StoreUnavailable
from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.documents import RefusedWrite
from sextant.infrastructure.event_store import EventStore

UNACCEPTABLE = frozenset({400, 413, 415, 422})
"""Answers that mean: this content, never; any other failure may pass."""


class Sink(Protocol):
    """Takes events; may be given the same event again."""

    name: str

    def deliver(self, events: Sequence[QueuedEvent]) -> list[RefusedEvent]:
        """Take all events but those returned, which it never will; raises SinkUnavailable: send all again."""


class MongoSink:
    """Stores events in MongoDB, each once."""

    name = "mongodb"

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._indexed = False

    def deliver(self, events: Sequence[QueuedEvent]) -> list[RefusedEvent]:
        """Store the events; a document that MongoDB refuses is returned with its reason."""
        refused: list[RefusedEvent] = []
        try:
            if not self._indexed:
                self._store.ensure_indexes()
                self._indexed = True
            predictions = _parsed(events, "prediction", Prediction.from_dict, refused)
            refused += _by_seq(predictions, self._store.add_predictions(list(predictions.values())))
            targets = _parsed(events, "target", Target.from_dict, refused)
            refused += _by_seq(targets, self._store.add_targets(list(targets.values())))
        except StoreUnavailable as error:
            raise SinkUnavailable(str(error)) from error
        return refused


def _parsed(
    events: Sequence[QueuedEvent], kind: EventKind, parse: Callable[[Any], Any], refused: list[RefusedEvent]
) -> dict[int, Any]:
    parsed = {}
    for event in events:
        if event.kind == kind:
            try:
                parsed[event.seq] = parse(orjson.loads(event.body))
            except (KeyError, TypeError, ValueError) as error:
                refused.append(RefusedEvent(event.seq, f"not a {kind}: {error!r}"[:300]))
    return parsed


def _by_seq(parsed: Mapping[int, object], refusals: Sequence[RefusedWrite]) -> list[RefusedEvent]:
    seqs = list(parsed)
    return [RefusedEvent(seqs[refusal.position], refusal.reason) for refusal in refusals]


class MonitoringSink:
    """Posts events to the monitoring service as they are, without parsing them again."""

    name = "monitoring"

    def __init__(self, url: str, token: str, *, timeout: float = 5.0) -> None:
        self._url = f"{url.rstrip('/')}/events"
        self._timeout = timeout
        self._session = requests.Session()
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def deliver(self, events: Sequence[QueuedEvent]) -> list[RefusedEvent]:
        """Post the events; what monitoring rejects is returned with its reason."""
        response = self._post(_events_body(events))
        if response.status_code == 202:
            return _rejected(events, response)
        if response.status_code not in UNACCEPTABLE:
            hint = ": EVENTS_TOKEN is another there" if response.status_code == 401 else ""
            raise SinkUnavailable(f"monitoring returned {response.status_code}{hint}")
        if len(events) == 1:
            return [
                RefusedEvent(events[0].seq, f"monitoring returned {response.status_code}: {response.text[:200]}")
            ]
        half = len(events) // 2
        return self.deliver(events[:half]) + self.deliver(events[half:])

    def _post(self, body: bytes) -> requests.Response:
        try:
            return self._session.post(self._url, data=body, headers=self._headers, timeout=self._timeout)
        except requests.RequestException as error:
            raise SinkUnavailable(f"monitoring at {self._url}: {type(error).__name__}") from error


def _events_body(events: Sequence[QueuedEvent]) -> bytes:
    predictions = b",".join(event.body for event in events if event.kind == "prediction")
    targets = b",".join(event.body for event in events if event.kind == "target")
    return b'{"predictions":[' + predictions + b'],"targets":[' + targets + b"]}"


def _rejected(events: Sequence[QueuedEvent], response: requests.Response) -> list[RefusedEvent]:
    """What monitoring rejected, by its place in the body: an id may occur twice, of two models or as a target."""
    seqs = {
        f"/{kind}s/{position}": event.seq
        for kind in ("prediction", "target")
        for position, event in enumerate(event for event in events if event.kind == kind)
    }
    try:
        reasons = {item.get("pointer"): item["reason"] for item in response.json().get("rejected", ())}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SinkUnavailable(f"what answers at MONITORING_URL is not monitoring: {error!r}"[:300]) from error
    return [RefusedEvent(seq, reasons[pointer]) for pointer, seq in seqs.items() if pointer in reasons]
