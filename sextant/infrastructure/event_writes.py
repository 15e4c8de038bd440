"""How documents get into MongoDB: each is stored, stored already or refused for good; all else is tried again."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from bson import encode
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from sextant.contracts.errors import StoreUnavailable
from sextant.contracts.events import Prediction, Target, stored_time
from sextant.infrastructure.documents import Document, RefusedWrite, are_about, key_of, stored

MAX_DOCUMENT_BYTES = 16 << 20
"""What MongoDB takes; checked here too, because nx-27017 stores more and can then not be read."""

DUPLICATE_KEY = 11000
UNKNOWN_ERROR = 8
PERMANENT = frozenset(
    {
        2,  # BadValue, also for an insert that is too large
        14,  # TypeMismatch
        15,  # Overflow: nested too deep
        22,  # InvalidBSON
        52,  # DollarPrefixedFieldName
        53,  # InvalidIdField
        55,  # InvalidDBRef
        56,  # EmptyFieldName
        57,  # DottedFieldName
        121,  # DocumentValidationFailure
        10334,  # BSONObjectTooLarge
        17280,  # KeyTooLong
        17419,  # the same document, larger than MongoDB's limit after an update
    }
)
"""Errors of one document that will be the same next time; any other code may pass, as a full disk does."""

PERMANENT_FOR_A_BATCH = frozenset({15, 22, 10334})
"""Those that can only come from a document when MongoDB answers them for the command as a whole."""

CONTENT = {"features": 1, "context": 1}
"""What a client sent."""

ATTEMPTS = 5
BulkWrite = Callable[[Sequence[Any]], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the documents that were not stored now, each by its position in what was given."""

    duplicates: tuple[int, ...] = ()
    """Their `_id` is taken."""

    refused: Mapping[int, str] = field(default_factory=dict)
    """MongoDB will never take them, and why."""

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.duplicates + other.duplicates, {**self.refused, **other.refused})


def add_predictions(collection: Any, predictions: Sequence[Prediction]) -> list[RefusedWrite]:
    """Store each prediction once; refuses a second one of a model for the same id, unless it is a retry."""
    documents = dict(enumerate(map(stored, predictions)))
    held = _held_of_old(collection, predictions)
    fresh = {position: document for position, document in documents.items() if document["_id"] not in held}
    outcome = write(fresh, lambda part: collection.insert_many(part, ordered=False))
    held |= _held(collection, [documents[position]["_id"] for position in outcome.duplicates], CONTENT)
    refused = dict(outcome.refused)
    for position in sorted(documents.keys() - fresh.keys() | set(outcome.duplicates)):
        if not _same_content(documents[position], held.get(documents[position]["_id"])):
            refused[position] = "the model has another prediction stored under this id"
    return _refusals(predictions, refused)


def add_targets(collection: Any, targets: Sequence[Target]) -> list[RefusedWrite]:
    """Store the target received last for each prediction, of those given and those stored by anyone."""
    documents = dict(enumerate(map(stored, targets)))
    outcome = write(documents, lambda part: collection.insert_many(part, ordered=False))
    refused, waiting = dict(outcome.refused), {position: documents[position] for position in outcome.duplicates}
    for _ in range(ATTEMPTS):
        held = _held(collection, [document["_id"] for document in waiting.values()], {"received_at": 1})
        refused |= {place: "its id is taken" for place, document in waiting.items() if document["_id"] not in held}
        waiting = {place: document for place, document in waiting.items() if place not in refused}
        if not (newest := _newest(waiting, held)):
            return _refusals(targets, refused)
        refused |= write(newest, partial(_replace, collection, held)).refused
    raise StoreUnavailable("MongoDB: others are writing the same targets")


def _newest(documents: Mapping[int, Document], held: Mapping[str, Document]) -> dict[int, Document]:
    """Of each target the one received last, unless it is the stored one or older."""
    newest: dict[str, int] = {}
    for position, document in documents.items():
        best = documents[newest[document["_id"]]] if document["_id"] in newest else held[document["_id"]]
        stored_at = best.get("received_at")
        if not isinstance(stored_at, datetime) or stored_time(document["received_at"]) > stored_time(stored_at):
            newest[document["_id"]] = position
    return {position: documents[position] for position in newest.values()}


def _replace(collection: Any, held: Mapping[str, Document], documents: Sequence[RawBSONDocument]) -> None:
    """Replace each document that is still the one that was held: what is newer by now stays."""
    writes: list[ReplaceOne[RawBSONDocument]] = [
        ReplaceOne({"_id": document["_id"], "received_at": held[document["_id"]].get("received_at")}, document)
        for document in documents
    ]
    collection.bulk_write(writes, ordered=False)


def _held(collection: Any, keys: Sequence[str], fields: Mapping[str, int]) -> dict[str, Document]:
    with translated():
        return {document["_id"]: document for document in collection.find({"_id": {"$in": keys}}, fields)}


def _held_of_old(collection: Any, predictions: Sequence[Prediction]) -> dict[str, Document]:
    """What is stored under these ids as it was once, under the bare id, by the `_id` of today."""
    ids = defaultdict[str, list[str]](list)
    for prediction in predictions:
        ids[prediction.model].append(prediction.prediction_id)
    with translated():
        return {
            key_of(model, document["_id"]): document
            for model in ids
            for document in collection.find(are_about(model, ids[model])[1], CONTENT)
        }


def _same_content(document: Document, held: Document | None) -> bool:
    """Whether both are what one request sent: a retry is answered anew, so time, version and answer may differ."""
    return held is not None and all((document[name] or {}) == (held.get(name) or {}) for name in CONTENT)


def _refusals(events: Sequence[Prediction | Target], refused: Mapping[int, str]) -> list[RefusedWrite]:
    return [
        RefusedWrite(position, events[position].prediction_id, reason)
        for position, reason in sorted(refused.items())
    ]


def write(documents: Mapping[int, Document], bulk_write: BulkWrite) -> Outcome:
    """Write each document that MongoDB takes, whatever is wrong with others; raises StoreUnavailable: again."""
    encoded: dict[int, RawBSONDocument] = {}
    refused: dict[int, str] = {}
    for position, document in documents.items():
        try:
            encoded[position] = _encoded(document)
        except (BSONError, OverflowError, RecursionError, TypeError, ValueError) as error:
            refused[position] = f"{type(error).__name__}: {error}"[:300]
    with translated():
        return Outcome(refused=refused) + _write(encoded, bulk_write)


def _encoded(document: Document) -> RawBSONDocument:
    raw = encode(document)
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"{len(raw):,} bytes in MongoDB, more than {MAX_DOCUMENT_BYTES:,}")
    return RawBSONDocument(raw)


def _write(documents: Mapping[int, RawBSONDocument], bulk_write: BulkWrite) -> Outcome:
    """Write all at once; what MongoDB rejects as a whole is split until the culprit is alone."""
    positions = list(documents)
    if not positions:
        return Outcome()
    try:
        bulk_write(list(documents.values()))
    except BulkWriteError as error:
        return _judged(error, positions)
    except OperationFailure as error:
        if error.code not in PERMANENT_FOR_A_BATCH:
            raise
        if len(positions) == 1:
            return Outcome(refused={positions[0]: str(error)[:300]})
        halves = positions[: len(positions) // 2], positions[len(positions) // 2 :]
        first, second = ({position: documents[position] for position in half} for half in halves)
        return _write(first, bulk_write) + _write(second, bulk_write)
    return Outcome()


def _judged(error: BulkWriteError, positions: Sequence[int]) -> Outcome:
    """What became of each document that was not stored; raises StoreUnavailable when one may be later."""
    if error.details.get("writeConcernErrors"):
        raise StoreUnavailable("MongoDB did not confirm the write") from error
    duplicates, refused = [], {}
    for failed in error.details["writeErrors"]:
        position = positions[failed["index"]]
        if failed["code"] == DUPLICATE_KEY:
            duplicates.append(position)
        elif _is_permanent(failed):
            refused[position] = failed.get("errmsg", "refused")[:300]
        else:
            reason = f"MongoDB: {failed.get('errmsg', 'not stored')} (code {failed['code']})"
            raise StoreUnavailable(reason[:300]) from error
    return Outcome(tuple(duplicates), refused)


def _is_permanent(failed: Mapping[str, Any]) -> bool:
    # nx-27017 answers code 8 to a full disk as well as to a document that it cannot write as JSON.
    if failed["code"] == UNKNOWN_ERROR:
        return "not JSON serializable" in failed.get("errmsg", "")
    return failed["code"] in PERMANENT


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreUnavailable for whatever pymongo raises."""
    try:
        yield
    except PyMongoError as error:
        # Less pymongo's settings and topology, which no one reads.
        message = str(error).split(" (configured", maxsplit=1)[0].split(", Timeout:", maxsplit=1)[0]
        raise StoreUnavailable(f"MongoDB: {message[:300]}") from error
