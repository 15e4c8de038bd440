"""What becomes of documents that MongoDB does not store: only an error of the document itself is final."""

from collections.abc import Callable, Sequence

import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import AutoReconnect, BulkWriteError, NotPrimaryError, OperationFailure

from sextant.contracts.errors import StoreUnavailable
from sextant.infrastructure.documents import Document
from sextant.infrastructure.event_writes import MAX_DOCUMENT_BYTES, Outcome, write

THREE: list[Document] = [{"_id": "a"}, {"_id": "b"}, {"_id": "c"}]


class FakeCollection:
    """Stores documents, and answers an error for those that `fault` names."""

    def __init__(self, fault: Callable[[str], Exception | dict[str, object] | None]) -> None:
        self.fault = fault
        self.stored: set[str] = set()

    def write(self, documents: Sequence[RawBSONDocument]) -> None:
        errors = []
        for document in documents:
            if isinstance(found := self.fault(document["_id"]), Exception):
                raise found
        for index, document in enumerate(documents):
            if found := self.fault(document["_id"]):
                errors.append({"index": index, **found})
            else:
                self.stored.add(document["_id"])
        if errors:
            raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})


def of_b(answer: Exception | dict[str, object]) -> FakeCollection:
    return FakeCollection(lambda identifier: answer if identifier == "b" else None)


@pytest.mark.parametrize("code", [2, 14, 15, 22, 52, 53, 55, 56, 57, 121, 10334, 17280, 17419])
def test_a_document_that_mongodb_will_never_take_is_refused_and_the_others_are_stored(code: int) -> None:
    collection = of_b({"code": code, "errmsg": "bad"})
    assert write(dict(enumerate(THREE)), collection.write) == Outcome(refused={1: "bad"})
    assert collection.stored == {"a", "c"}


# A full disk, interruptions, elections, time-outs, a lost password, a throttled cluster, and what nobody knows.
PASSING = [14031, 11600, 11601, 11602, 10107, 189, 91, 13435, 13436, 50, 262, 13, 18, 112, 16500, 1, 8, 999_999]


@pytest.mark.parametrize("code", PASSING)
def test_any_other_error_of_a_document_is_tried_again(code: int) -> None:
    with pytest.raises(StoreUnavailable, match=f"disk is full.*{code}"):
        write(dict(enumerate(THREE)), of_b({"code": code, "errmsg": "disk is full"}).write)


def test_a_passing_error_beside_a_permanent_one_refuses_nothing_yet() -> None:
    answers = {"a": {"code": 121, "errmsg": "bad"}, "b": {"code": 14031, "errmsg": "disk is full"}}
    with pytest.raises(StoreUnavailable, match="disk is full"):
        write(dict(enumerate(THREE)), FakeCollection(answers.get).write)


@pytest.mark.parametrize("code", [*PASSING, 2, None])
def test_an_error_of_the_command_as_a_whole_is_tried_again(code: int | None) -> None:
    with pytest.raises(StoreUnavailable, match="no"):
        write(dict(enumerate(THREE)), of_b(OperationFailure("no", code)).write)


@pytest.mark.parametrize("error", [AutoReconnect("gone"), NotPrimaryError("elections")])
def test_a_lost_connection_is_tried_again(error: Exception) -> None:
    with pytest.raises(StoreUnavailable):
        write(dict(enumerate(THREE)), of_b(error).write)


@pytest.mark.parametrize("code", [15, 22, 10334])
def test_a_batch_that_is_rejected_for_its_content_is_split_until_the_culprit_is_alone(code: int) -> None:
    collection = FakeCollection(lambda name: OperationFailure("too large", code) if name == "d317" else None)
    outcome = write({number: {"_id": f"d{number}"} for number in range(500)}, collection.write)
    assert outcome == Outcome(refused={317: "too large"})
    assert collection.stored == {f"d{number}" for number in range(500)} - {"d317"}


def test_what_cannot_be_a_document_is_refused_without_asking() -> None:
    huge = {"_id": "huge", "x": "x" * MAX_DOCUMENT_BYTES}
    deep: Document = {}
    for _ in range(5_000):
        deep = {"x": deep}
    documents = [
        {"_id": "a"},
        huge,
        {"_id": "int", "x": 2**64},
        {"_id": "deep", "x": deep},
        {"_id": 1, "x": "\ud800"},
    ]
    collection = FakeCollection(lambda _: None)
    outcome = write(dict(enumerate(documents)), collection.write)
    assert set(outcome.refused) == {1, 2, 3, 4}
    assert "more than 16,777,216" in outcome.refused[1]
    assert collection.stored == {"a"}


def test_a_taken_id_is_told_and_not_judged() -> None:
    assert write(dict(enumerate(THREE)), of_b({"code": 11000, "errmsg": "taken"}).write) == Outcome(
        duplicates=(1,)
    )


def test_a_document_that_nx_27017_cannot_write_as_json_is_refused_and_its_full_disk_is_not() -> None:
    reason = "Object of type DBRef is not JSON serializable"
    assert write(dict(enumerate(THREE)), of_b({"code": 8, "errmsg": reason}).write) == Outcome(refused={1: reason})
    with pytest.raises(StoreUnavailable, match="full"):
        write(dict(enumerate(THREE)), of_b({"code": 8, "errmsg": "database or disk is full"}).write)
