"""What became of a replay: counts and latencies, kept by many threads and shown as one table."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sextant.traffic.client import Answer

PERCENTILES = (50, 95, 99)


@dataclass
class Tally:
    """Rows by fate; `name` is what is counted. Safe to share between threads."""

    name: str
    accepted: int = 0
    retries: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, answer: Answer, rows: int) -> None:
        """Add one request that carried so many rows."""
        with self._lock:
            self.retries += answer.retries
            if answer.status is not None and answer.status < 300:
                self.accepted += rows
                self.seconds.append(answer.seconds)
            else:
                status = "no answer" if answer.status is None else f"HTTP {answer.status}"
                self.failed[status] += rows
                self.reasons.setdefault(status, _reason(answer.body))

    @property
    def all_accepted(self) -> bool:
        """Whether nothing failed."""
        return not self.failed


def _reason(problem: Any) -> str:
    """The sentence of a problem+json, with the fields that it names."""
    if not isinstance(problem, Mapping):
        return ""
    errors = problem.get("errors")
    return str(problem.get("detail", "")) + (f" {errors}"[:300] if errors else "")


def table(tally: Tally, elapsed: float = 0) -> str:
    """The tally as lines for a person; with the speed, where the time that it took (seconds) is given."""
    speed = f"  in {elapsed:.1f} s ({tally.accepted / elapsed:,.0f} a second)" if elapsed > 0 else ""
    lines = [f"{tally.name:<14} {tally.accepted:>9,} accepted{speed}"]
    if tally.retries:
        lines.append(f"{'':<14} {tally.retries:>9,} retries")
    for status, rows in sorted(tally.failed.items()):
        lines.append(f"{'':<14} {rows:>9,} failed: {status}  {tally.reasons[status]}".rstrip())
    if tally.seconds:
        lines.append(f"{'latency':<14} {_latencies(tally.seconds)}")
    return "\n".join(lines)


def _latencies(seconds: list[float]) -> str:
    values = dict(zip(PERCENTILES, np.percentile(seconds, PERCENTILES), strict=True))
    parts = [f"p{percent} {value * 1_000:.1f} ms" for percent, value in values.items()]
    return "   ".join([*parts, f"max {max(seconds) * 1_000:.1f} ms"])
