"""The only user of pymongo: predictions, targets and reports in MongoDB behind a few domain verbs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from pymongo import ASCENDING, DESCENDING, MongoClient, ReplaceOne

from sextant.contracts.errors import Rejected
from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.documents import (
    Document,
    HourlyTraffic,
    Refusal,
    RefusedWrite,
    hourly_traffic,
    read,
    stored,
    whole_seconds,
)
from sextant.infrastructure.event_writes import Outcome, translated, write

READ_BATCH = 1_000


class EventStore:
    """Predictions, targets and reports; one instance is safe to share between threads."""

    def __init__(self, client: "MongoClient[Document]", database: str) -> None:
        self._client = client
        self._db = client.get_database(database)

    @classmethod
    def connect(cls, uri: str, database: str, *, timeout: float = 5.0) -> Self:
        """A store that connects when first used; every operation gives up after `timeout` seconds."""
        milliseconds = int(timeout * 1_000)
        client: MongoClient[Document] = MongoClient(
            uri,
            tz_aware=True,
            appname="sextant",
            w="majority",
            retryWrites=False,  # the relay retries, and redelivery is harmless
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            socketTimeoutMS=milliseconds * 6,
        )
        return cls(client, database)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ping(self) -> None:
        """Raise StoreUnavailable unless MongoDB answers."""
        with translated():
            self._client.admin.command("ping")

    def ensure_indexes(self) -> None:
        """Create the indexes that the reads need; does nothing where they exist."""
        with translated():
            self._db.predictions.create_index([("model", ASCENDING), ("created_at", ASCENDING)])
            self._db.reports.create_index([("model", ASCENDING), ("created_at", DESCENDING)])

    # --- writing -------------------------------------------------------------------------------------------

    def add_predictions(self, predictions: Sequence[Prediction]) -> list[RefusedWrite]:
        """Store each prediction once, whatever is sent twice; returns those that MongoDB will never take."""
        documents = [stored(prediction.to_dict()) for prediction in predictions]
        outcome = write(documents, lambda part: self._db.predictions.insert_many(part, ordered=False))
        return _refusals(predictions, outcome)

    def add_targets(self, targets: Sequence[Target]) -> list[RefusedWrite]:
        """Store each target, of several for a prediction the last; returns those that MongoDB will never take."""
        return _refusals(targets, write([stored(target.to_dict()) for target in targets], self._replace_targets))

    def _replace_targets(self, documents: Sequence[Document]) -> None:
        writes: list[ReplaceOne[Document]] = [
            ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents
        ]
        self._db.targets.bulk_write(writes, ordered=False)

    def add_report(self, report: Mapping[str, Any]) -> None:
        """Store the description of one rendered report (see design: collection `reports`)."""
        with translated():
            self._db.reports.replace_one({"_id": report["_id"]}, dict(report), upsert=True)

    # --- reading -------------------------------------------------------------------------------------------

    def between(
        self,
        model: str,
        start: datetime,
        end: datetime,
        *,
        skip: Callable[[Refusal], None] | None = None,
        without: Iterable[str] = (),
    ) -> Iterator[Prediction]:
        """Predictions of a model with start <= created_at < end, oldest first, streamed.

        A document that is no prediction raises Rejected, or is handed to `skip`. Optional fields in `without` are
        not fetched. The query is widened to whole seconds and cut here: nx-27017 compares dates by the second.
        """
        query = {"model": model, "created_at": whole_seconds(start, end)}
        with translated():
            fields = dict.fromkeys(without, 0) or None
            cursor = self._db.predictions.find(query, fields, batch_size=READ_BATCH).sort("created_at", ASCENDING)
            for document in cursor:
                if not start <= document["created_at"] < end:
                    continue
                found = read(Prediction, document)
                if isinstance(found, Prediction):
                    yield found
                elif skip is None:
                    raise Rejected(
                        f"MongoDB: {found.prediction_id} of {model} is not a valid prediction ({found.reason})"
                    )
                else:
                    skip(found)

    def latest(self, model: str, count: int, *, until: datetime) -> list[Prediction]:
        """The model's newest `count` predictions up to this second, oldest first, less documents that are none."""
        query = {"model": model, "created_at": {"$lt": whole_seconds(until, until)["$lt"]}}
        with translated():
            cursor = self._db.predictions.find(query).sort("created_at", DESCENDING).limit(count)
            found = [read(Prediction, document) for document in cursor]
        return [prediction for prediction in found if isinstance(prediction, Prediction)][::-1]

    def targets_for(
        self, prediction_ids: Iterable[str], *, skip: Callable[[Refusal], None] | None = None
    ) -> dict[str, Target]:
        """The targets that have arrived for these predictions, by prediction id.

        A document that is no target has not arrived; it is handed to `skip`.
        """
        found: dict[str, Target] = {}
        for document in _find_by_id(self._db.targets, prediction_ids):
            target = read(Target, document)
            if isinstance(target, Target):
                found[target.prediction_id] = target
            elif skip is not None:
                skip(target)
        return found

    def existing_ids(self, prediction_ids: Iterable[str]) -> dict[str, str]:
        """Those of these predictions that are stored, with the model of each."""
        documents = _find_by_id(self._db.predictions, prediction_ids, {"model": 1})
        return {document["_id"]: document["model"] for document in documents}

    def hourly(self, model: str, start: datetime, end: datetime) -> dict[datetime, HourlyTraffic]:
        """Traffic of a model by full hour, oldest first; hours without any are left out.

        Counted here, over a stream of times: nx-27017 finds no document by a date in an aggregation.
        """
        query = {"model": model, "created_at": whole_seconds(start, end)}
        with translated():
            found = self._db.predictions.find(query, {"created_at": 1, "latency_ms": 1}, batch_size=READ_BATCH)
            return hourly_traffic(document for document in found if start <= document["created_at"] < end)

    def models(self) -> list[str]:
        """Every model that has a prediction stored, sorted."""
        with translated():
            return sorted(self._db.predictions.distinct("model"))

    def delete(self, prediction_ids: Sequence[str]) -> tuple[int, int]:
        """Delete these predictions and their targets, targets first; how many there were of each."""
        chosen = {"_id": {"$in": list(prediction_ids)}}
        with translated():
            targets = self._db.targets.delete_many(chosen).deleted_count
            return self._db.predictions.delete_many(chosen).deleted_count, targets

    def count_predictions(self, model: str | None = None) -> int:
        """How many predictions are stored, of one model or of all."""
        with translated():
            return self._db.predictions.count_documents({} if model is None else {"model": model})

    def prediction_ids(self) -> Iterator[str]:
        """The id of every stored prediction."""
        with translated():
            for document in self._db.predictions.find({}, {"_id": 1}, batch_size=READ_BATCH):
                yield document["_id"]

    def reports(self, model: str | None = None, *, without: Iterable[str] = ()) -> list[Document]:
        """Descriptions of the rendered reports, newest first; fields in `without` are not fetched."""
        chosen, fields = {} if model is None else {"model": model}, dict.fromkeys(without, 0) or None
        with translated():
            return list(self._db.reports.find(chosen, fields).sort("created_at", DESCENDING))

    def report(self, report_id: str) -> Document | None:
        """The description of one report, if it was ever made."""
        with translated():
            return self._db.reports.find_one({"_id": report_id})

    def made_before(
        self, model: str, moment: datetime, *, newest_first: bool = False
    ) -> Iterator[tuple[str, str, datetime]]:
        """Id, version ("" if unknown) and time of the predictions made before a moment, oldest first, streamed."""
        chosen = {"model": model, "created_at": {"$lt": whole_seconds(moment, moment)["$lt"]}}
        fields = {"model_version": 1, "created_at": 1}
        order = DESCENDING if newest_first else ASCENDING
        with translated():
            cursor = self._db.predictions.find(chosen, fields, batch_size=READ_BATCH).sort("created_at", order)
            for document in cursor:
                made_at = document["created_at"]
                if isinstance(made_at, datetime) and made_at < moment:  # nx-27017 finds texts and whole seconds
                    yield document["_id"], str(document.get("model_version") or ""), made_at


def _find_by_id(collection: Any, ids: Iterable[str], fields: Document | None = None) -> Iterator[Document]:
    wanted = list(ids)
    with translated():
        for start in range(0, len(wanted), READ_BATCH):
            yield from collection.find({"_id": {"$in": wanted[start : start + READ_BATCH]}}, fields)


def _refusals(events: Sequence[Prediction | Target], outcome: Outcome) -> list[RefusedWrite]:
    refused = sorted(outcome.refused.items())
    return [RefusedWrite(position, events[position].prediction_id, reason) for position, reason in refused]
