"""The rows that a drift report evaluates: predictions of one version, or a uniform sample of more than fit."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappush, heapreplace
from typing import TYPE_CHECKING, Generic, TypeVar

from sextant.contracts.events import Prediction

if TYPE_CHECKING:  # see steps
    from sextant.evaluation.frames import ConformedFrame

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EvaluatedRows:
    """The rows as a frame, of how many predictions, and what was counted while reading them."""

    frame: "ConformedFrame"
    predictions: int
    other_versions: Mapping[str, int]
    skipped: int = 0
    skipped_example: str | None = None

    @property
    def rows(self) -> int:
        """How many rows are evaluated."""
        return len(self.frame)

    @property
    def sampled(self) -> bool:
        """Whether there were more predictions than are evaluated."""
        return self.rows < self.predictions


def of_version(predictions: Iterable[Prediction], version: str, others: Counter[str]) -> Iterator[Prediction]:
    """The predictions of this version; those of others are counted."""
    for prediction in predictions:
        if prediction.model_version == version:
            yield prediction
        else:
            others[prediction.model_version] += 1


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """What was kept of a stream, in the order of the keys' hashes, and how many items went by."""

    kept: list[T]
    seen: int


def sample_uniformly(stream: Iterable[T], limit: int, *, key: Callable[[T], str], seed: int) -> Sample[T]:
    """Keep at most `limit` items, each with the same chance; the same keys and seed keep the same items.

    The items whose keys have the smallest hashes are kept, so neither the stream's order nor its parts matter,
    and memory is bounded by the sample, not by the stream.
    """
    salt = seed.to_bytes(8, "big", signed=True)
    heap: list[tuple[int, int, T]] = []  # the largest hash first; the count keeps items from being compared
    seen = 0
    for seen, item in enumerate(stream, start=1):
        rank = -_hash(key(item), salt)
        if len(heap) < limit:
            heappush(heap, (rank, seen, item))
        elif rank > heap[0][0]:
            heapreplace(heap, (rank, seen, item))
    return Sample([item for _, _, item in sorted(heap, key=lambda entry: -entry[0])], seen)


def _hash(key: str, salt: bytes) -> int:
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, salt=salt).digest(), "big")
