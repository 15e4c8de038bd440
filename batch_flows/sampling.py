"""A uniform sample of a stream whose length nobody knows yet: memory is bounded by the sample, not the stream."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """What was kept of a stream, in the stream's order, and how many items went by."""

    kept: list[T]
    seen: int


def sample_uniformly(stream: Iterable[T], limit: int, *, seed: int) -> Sample[T]:
    """Keep at most `limit` items, each with the same chance; the same stream and seed keep the same items."""
    random = np.random.default_rng(seed)
    kept: list[tuple[int, T]] = []
    seen = 0
    for index, item in enumerate(stream):
        seen = index + 1
        if index < limit:
            kept.append((index, item))
        elif (place := int(random.integers(seen))) < limit:
            kept[place] = (index, item)
    return Sample([item for _, item in sorted(kept, key=lambda pair: pair[0])], seen)
