"""Pairs of answers to the same record: what two models made of the same thing.

A record is all that the client sent, whether a model calls a field a feature or not; so what two models with
different features made of it is still one record.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b

import orjson

from sextant.contracts.events import Prediction, Target
from sextant.evaluation.frames import category_of

HASHES = 1 << 64


@dataclass(frozen=True, slots=True)
class KeyedPrediction:
    """A prediction without what it was made from, and the hash by which it was sampled."""

    key: int
    made: Prediction


Pair = tuple[KeyedPrediction, KeyedPrediction]


@dataclass
class PredictionSample:
    """The answers of both sides to one sample of the keys: at most `limit` a side, however many there are."""

    limit: int
    key_of: Callable[[Prediction], int]
    sides: tuple[list[KeyedPrediction], list[KeyedPrediction]] = field(default_factory=lambda: ([], []))
    seen: list[int] = field(default_factory=lambda: [0, 0])
    one_in: int = 1

    def add(self, side: int, made: Prediction) -> None:
        """Take the prediction if its key is in the sample; the sample is halved when a side is full."""
        self.seen[side] += 1
        answer = KeyedPrediction(self.key_of(made), replace(made, features={}, context={}))
        if self._holds(answer):
            self.sides[side].append(answer)
        while len(self.sides[side]) > self.limit:
            self.one_in *= 2
            for kept in self.sides:
                kept[:] = filter(self._holds, kept)

    def _holds(self, answer: KeyedPrediction) -> bool:
        return answer.key < HASHES // self.one_in


def id_key(made: Prediction) -> int:
    """64 bits that are the prediction's own."""
    return _hash(made.prediction_id.encode())


def record_key(made: Prediction, pair_by: str | None = None) -> int:
    """64 bits that two answers to the same record share; with `pair_by`, to records with the same value in it.

    Numbers and texts are compared as categories are, and a missing value is like no value.
    """
    record = {name: category_of(value) for name, value in {**(made.context or {}), **made.features}.items()}
    if pair_by is not None:
        record = {pair_by: record.get(pair_by)}
    known = {name: value for name, value in record.items() if value is not None}
    return _hash(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)) if known else id_key(made)


def _hash(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def match(answers_a: Iterable[KeyedPrediction], answers_b: Iterable[KeyedPrediction]) -> list[Pair]:
    """Pairs of answers to the same record, in the order of A's time; each answer is in one pair at most."""
    records: defaultdict[int, tuple[list[KeyedPrediction], list[KeyedPrediction]]] = defaultdict(lambda: ([], []))
    for side, answers in enumerate((answers_a, answers_b)):
        for answer in sorted(answers, key=_when):
            records[answer.key][side].append(answer)
    pairs = [pair for of_a, of_b in records.values() for pair in _in_time(of_a, of_b)]
    return sorted(pairs, key=lambda pair: _when(pair[0]))


def _in_time(of_a: Sequence[KeyedPrediction], of_b: Sequence[KeyedPrediction]) -> Iterator[Pair]:
    if len(of_a) <= len(of_b):
        yield from _nearest(of_a, of_b)
    else:
        yield from ((a, b) for b, a in _nearest(of_b, of_a))


def _nearest(fewer: Sequence[KeyedPrediction], more: Sequence[KeyedPrediction]) -> Iterator[Pair]:
    """Each of the fewer with the nearest in time that is left, in order, so that all find one."""
    position = 0
    for index, answer in enumerate(fewer):
        last = len(more) - (len(fewer) - index)
        while position < last and _gap(answer, more[position + 1]) <= _gap(answer, more[position]):
            position += 1
        yield answer, more[position]
        position += 1


def _when(answer: KeyedPrediction) -> tuple[datetime, str]:
    return answer.made.created_at, answer.made.prediction_id


def _gap(one: KeyedPrediction, other: KeyedPrediction) -> float:
    return abs((one.made.created_at - other.made.created_at).total_seconds())


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """Pairs whose truth is known from either side, and what was left out of them."""

    rows: Sequence[tuple[Prediction, Prediction, float | str]]
    unlabelled: int
    disagreeing: int
    labelled_twice: int


def label(pairs: Iterable[Pair], targets: Mapping[str, Target]) -> LabelledPairs:
    """One target is the truth about both; two that differ are about different events, and left out."""
    rows, unlabelled, disagreeing, twice = [], 0, 0, 0
    for a, b in pairs:
        known = [targets[p.prediction_id].target for p in (a.made, b.made) if p.prediction_id in targets]
        twice += len(known) == 2
        if not known:
            unlabelled += 1
        elif category_of(known[0]) != category_of(known[-1]):
            disagreeing += 1
        else:
            rows.append((a.made, b.made, known[0]))
    return LabelledPairs(rows, unlabelled, disagreeing, twice)
