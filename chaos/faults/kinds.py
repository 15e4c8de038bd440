"""What a fault is, and in which order they come."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from chaos.site import Site

Inject = Callable[[Site, Random], bool]
"""Does it, waits, ends it; whether it happened (a process may have been down already)."""

LONGEST_PAUSES = {"processes": 3.0, "network": 2.0, "disk": 3.0}
"""By lane, seconds between two faults, and then until the site works, however little.

Faults of one lane come one after the other; those of different lanes at the same time.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    lane: str
    inject: Inject


def deal(faults: Sequence[Fault], random: Random) -> Iterator[Fault]:
    """The faults in random order, all of them before any comes again."""
    while faults:
        yield from random.sample(faults, len(faults))
