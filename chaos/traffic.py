"""Clients as real ones are: they send again, under the same ids, until somebody acknowledges."""

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from chaos.ledger import Content, Key, Ledger
from sextant.contracts.model_bundle import Manifest
from sextant.traffic.client import Client, Outage, Reply
from sextant.traffic.rows import Traffic

FOREVER = 1e9
LONGEST_LIST = 100
PAUSES = {"single": 0.02, "list": 0.25, "feedback": 0.15, "poison": 0.5}
FEEDBACK_AT_ONCE = 60
Record = dict[str, Any]

POISON: tuple[tuple[str, Callable[[Record], object], frozenset[int]], ...] = (
    ("a list of nothing", lambda _: [], frozenset({422})),
    ("no record", lambda _: "a text", frozenset({422})),
    ("a wrong type", lambda record: record | {"trip_distance": "far"}, frozenset({422})),
    ("a missing feature", lambda record: _without(record, "PULocationID"), frozenset({422})),
    ("one bad of two", lambda record: [record, _without(record, "DOLocationID")], frozenset({422})),
    ("an id with blanks", lambda record: record | {"prediction_id": "a b"}, frozenset({422})),
    ("the same id twice", lambda record: [record, record], frozenset({422})),
    ("a name that MongoDB reads as its own", lambda record: record | {"$where": "1"}, frozenset({422})),
    ("a record beyond the limit", lambda record: record | {"note": "x" * 70_000}, frozenset({413})),
    ("deep nesting", lambda record: record | {"deep": _nested(40)}, frozenset({422})),
)


def _without(record: Record, name: str) -> Record:
    return {key: value for key, value in record.items() if key != name}


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


class Clients:
    """Several clients of a prediction service, each a thread, until they are told to stop."""

    def __init__(self, url: str, rows: Traffic, manifest: Manifest, ledger: Ledger, *, seed: int) -> None:
        self._url, self._rows = url, rows
        self._model, self._names = manifest.name, manifest.feature_schema.names
        self._ledger = ledger
        self._seed = seed
        self._stop = threading.Event()
        self._abandon = threading.Event()
        self._due: list[Key] = []
        self._threads: list[threading.Thread] = []
        self.send_poison = threading.Event()

    def start(self, singles: int = 3, lists: int = 2, feedback: int = 1) -> None:
        """Begin to send."""
        works = [self._singles] * singles + [self._lists] * lists + [self._feedback] * feedback + [self._poison]
        for number, work in enumerate(works):
            thread = threading.Thread(target=self._run, args=(work, number), name=f"client {number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, seconds: float) -> int:
        """Send nothing new, and wait for what is under way; how many clients are still without an answer then."""
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds / len(self._threads))
        return sum(thread.is_alive() for thread in self._threads)

    def abandon(self) -> None:
        """Wait for nothing any more."""
        self._stop.set()
        self._abandon.set()

    def _run(self, work: Callable[[Client, Random, str], None], number: int) -> None:
        client = Client(self._url, outage=Outage(lambda _: None), wait=self._abandon.wait, retry_seconds=FOREVER)
        try:
            work(client, Random(f"{self._seed} client {number}"), f"{self._seed:x}-{number}")
        except Exception as error:  # noqa: BLE001  a client that dies would look like one without work
            self._ledger.complain(f"client {number}: {error!r}")
        finally:
            client.close()

    def _singles(self, client: Client, random: Random, name: str) -> None:
        for number in itertools.count():
            record = self._record(random, f"{name}-{number}")
            self._predict(client, [record], as_list=False)
            if self._stop.wait(PAUSES["single"] * random.uniform(0.5, 1.5)):
                return

    def _lists(self, client: Client, random: Random, name: str) -> None:
        for number in itertools.count():
            size = random.randint(1, LONGEST_LIST)
            records = [self._record(random, f"{name}-{number}-{place}") for place in range(size)]
            self._predict(client, records, as_list=True)
            if self._stop.wait(PAUSES["list"] * random.uniform(0.5, 1.5)):
                return

    def _feedback(self, client: Client, random: Random, _: str) -> None:
        while not self._stop.wait(PAUSES["feedback"]):
            keys, self._due[:FEEDBACK_AT_ONCE] = self._due[:FEEDBACK_AT_ONCE], []
            if not keys:
                continue
            targets = {
                Key("target", key.model, key.prediction_id): Content(round(random.uniform(1, 60), 2))
                for key in keys
            }
            items = [{"prediction_id": key.prediction_id, "target": made.value} for key, made in targets.items()]
            self._ledger.attempt(*targets)
            reply = self._post(client, "/feedback", items if len(items) > 1 else items[0])
            if reply.status == 202:
                self._ledger.acknowledge(targets)
            else:
                self._unexpected("/feedback", reply)

    def _predict(self, client: Client, records: Sequence[Record], *, as_list: bool) -> None:
        keys = [Key("prediction", self._model, record["prediction_id"]) for record in records]
        self._ledger.attempt(*keys)
        reply = self._post(client, "/predict", list(records) if as_list else records[0])
        if reply.status != 200:
            self._unexpected("/predict", reply)
            return
        answers = reply.body["predictions"] if as_list else [reply.body]
        self._ledger.acknowledge(
            {
                key: self._content(record, answer["prediction"])
                for key, record, answer in zip(keys, records, answers, strict=True)
            }
        )
        self._due.extend(keys[::2])  # half of the truth is never known

    def _poison(self, client: Client, random: Random, name: str) -> None:
        for number in itertools.count():
            if self._stop.wait(PAUSES["poison"]):
                return
            if not self.send_poison.is_set():
                continue
            record = self._record(random, f"{name}-bad-{number}")
            if random.random() < 0.3:
                self._conflict(client, record)
                continue
            what, spoiled, expected = random.choice(POISON)
            self._ledger.refuse(Key("prediction", self._model, record["prediction_id"]))
            reply = self._post(client, "/predict", spoiled(record))
            if reply.status not in expected | {None}:
                self._unexpected(f"/predict with {what}", reply)
            self._ledger.count("poison")

    def _conflict(self, client: Client, record: Record) -> None:
        """The same id twice, the second time with other content: acknowledged, and then a dead letter."""
        key = Key("prediction", self._model, record["prediction_id"])
        self._predict(client, [record], as_list=False)
        self._ledger.attempt_conflict(key)
        other = record | {"trip_distance": record["trip_distance"] + 1.0}
        if self._post(client, "/predict", other).status == 200:
            self._ledger.acknowledge_conflict(key)
        self._ledger.count("poison")

    def _post(self, client: Client, path: str, content: object) -> Reply:
        reply = client.post(path, content)
        self._ledger.count("requests")
        self._ledger.count("retries", reply.retries)
        return reply

    def _unexpected(self, what: str, reply: Reply) -> None:
        if reply.status is not None and not self._abandon.is_set():
            self._ledger.complain(f"{what}: {reply.status} {str(reply.body)[:300]}")

    def _record(self, random: Random, prediction_id: str) -> Record:
        row = random.choice(self._rows.records)
        return {**{str(name): value for name, value in row.items()}, "prediction_id": prediction_id}

    def _content(self, record: Mapping[str, Any], answer: float | str) -> Content:
        context = {k: v for k, v in record.items() if k not in self._names and k != "prediction_id"}
        return Content(answer, {name: record[name] for name in self._names}, context)
