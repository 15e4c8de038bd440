"""The only user of pymongo: predictions, targets and reports in MongoDB behind a few domain verbs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from pymongo import ASCENDING, DESCENDING, MongoClient
from pymongo.errors import PyMongoError

from sextant.contracts.errors import Rejected, SettingsError
from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.documents import (
    Document,
    HourlyTraffic,
    Refusal,
    RefusedWrite,
    are_about,
    hourly_traffic,
    id_of,
    read,
    whole_seconds,
)
from sextant.infrastructure.event_writes import add_predictions, add_targets, translated

READ_BATCH = 1_000


class EventStore:
    """Predictions, targets and reports; one instance is safe to share between threads."""

    def __init__(self, client: "MongoClient[Document]", database: str) -> None:
        self._client = client
        self._db = client.get_database(database)

    @classmethod
    def connect(cls, uri: str, database: str, *, timeout: float = 5.0) -> Self:
        """A store that connects when first used and gives up after `timeout` seconds; raises SettingsError."""
        milliseconds = int(timeout * 1_000)
        try:
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
        except (PyMongoError, ValueError, OSError) as error:  # none of them shows the password
            raise SettingsError(f"MONGODB_URI: {error}") from None
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
        """Store each prediction once, whatever is sent twice; returns those that can never be stored, and why.

        One of them may be a second prediction of a model for the same id, with other features or context.
        """
        return add_predictions(self._db.predictions, predictions)

    def add_targets(self, targets: Sequence[Target]) -> list[RefusedWrite]:
        """Store the target received last for each prediction; returns those that can never be stored, and why."""
        return add_targets(self._db.targets, targets)

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
        """The model's newest `count` predictions by time and id, up to this second, less documents that are none.

        They come oldest first. The answers to one list have one time, which the index cannot order by id.
        """
        query = {"model": model, "created_at": {"$lt": whole_seconds(until, until)["$lt"]}}
        with translated():
            newest = list(self._db.predictions.find(query).sort("created_at", DESCENDING).limit(count))
            documents = {document["_id"]: document for document in newest}
            if len(newest) == count and isinstance(oldest := newest[-1]["created_at"], datetime):
                query = {"model": model, "created_at": whole_seconds(oldest, oldest)}
                documents |= {document["_id"]: document for document in self._db.predictions.find(query)}
        found = [read(Prediction, document) for document in documents.values()]
        predictions = [prediction for prediction in found if isinstance(prediction, Prediction)]
        return sorted(predictions, key=lambda made: (made.created_at, made.prediction_id))[-count:]

    def targets_for(
        self, model: str, prediction_ids: Iterable[str], *, skip: Callable[[Refusal], None] | None = None
    ) -> dict[str, Target]:
        """The targets that have arrived for these predictions of a model, by prediction id.

        A document that is no target has not arrived; it is handed to `skip`.
        """
        found: dict[str, Target] = {}
        for document in _find_by_id(self._db.targets, model, prediction_ids):
            target = read(Target, document)
            if isinstance(target, Refusal):
                if skip is not None:
                    skip(target)
            elif (other := found.get(target.prediction_id)) is None or other.received_at < target.received_at:
                found[target.prediction_id] = target
        return found

    def existing_ids(self, prediction_ids: Iterable[str], models: Iterable[str]) -> dict[str, set[str]]:
        """Those of these ids under which predictions are stored, with those of these models that made them."""
        wanted, found = list(prediction_ids), defaultdict[str, set[str]](set)
        for model in models:
            for document in _find_by_id(self._db.predictions, model, wanted, {"prediction_id": 1}):
                found[id_of(document)].add(model)
        return dict(found)

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

    def delete(self, model: str, prediction_ids: Sequence[str]) -> tuple[int, int]:
        """Delete these predictions of a model and their targets, targets first; how many there were of each."""
        chosen = are_about(model, prediction_ids)
        with translated():
            targets = sum(self._db.targets.delete_many(query).deleted_count for query in chosen)
            return sum(self._db.predictions.delete_many(query).deleted_count for query in chosen), targets

    def count_predictions(self, model: str | None = None) -> int:
        """How many predictions are stored, of one model or of all."""
        with translated():
            return self._db.predictions.count_documents({} if model is None else {"model": model})

    def prediction_ids(self) -> Iterator[str]:
        """The id of every stored prediction."""
        with translated():
            for document in self._db.predictions.find({}, {"prediction_id": 1}, batch_size=READ_BATCH):
                yield id_of(document)

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
        fields = {"prediction_id": 1, "model_version": 1, "created_at": 1}
        order = DESCENDING if newest_first else ASCENDING
        with translated():
            cursor = self._db.predictions.find(chosen, fields, batch_size=READ_BATCH).sort("created_at", order)
            for document in cursor:
                made_at = document["created_at"]
                if isinstance(made_at, datetime) and made_at < moment:  # nx-27017 finds texts and whole seconds
                    yield id_of(document), str(document.get("model_version") or ""), made_at


def _find_by_id(
    collection: Any, model: str, ids: Iterable[str], fields: Document | None = None
) -> Iterator[Document]:
    wanted = list(ids)
    with translated():
        for start in range(0, len(wanted), READ_BATCH):
            for query in are_about(model, wanted[start : start + READ_BATCH]):
                yield from collection.find(query, fields)
