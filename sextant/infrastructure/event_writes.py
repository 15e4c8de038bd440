"""How documents get into MongoDB: each is stored, stored already or refused for good; all else is tried again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bson import encode
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from sextant.contracts.errors import StoreUnavailable
from sextant.infrastructure.documents import Document

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


def write(documents: Sequence[Document], bulk_write: BulkWrite) -> Outcome:
    """Write each document that MongoDB takes, whatever is wrong with others; raises StoreUnavailable: again."""
    encoded: dict[int, RawBSONDocument] = {}
    refused: dict[int, str] = {}
    for position, document in enumerate(documents):
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
