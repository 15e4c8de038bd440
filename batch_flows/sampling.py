"""A uniform sample of a stream whose length nobody knows yet: memory is bounded by the sample, not the stream.

The items whose keys have the smallest hashes are kept, so neither the stream's order nor its parts matter.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappush, heapreplace
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """What was kept of a stream, in the order of the keys' hashes, and how many items went by."""

    kept: list[T]
    seen: int


def sample_uniformly(stream: Iterable[T], limit: int, *, key: Callable[[T], str], seed: int) -> Sample[T]:
    """Keep at most `limit` items, each with the same chance; the same keys and seed keep the same items."""
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
