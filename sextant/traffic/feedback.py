"""Ground truth to the service: in batches, some time after the predictions, or from a CSV file."""

import csv
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sextant.contracts.errors import Fatal
from sextant.contracts.events import Value
from sextant.contracts.schema import Task
from sextant.traffic.client import Client
from sextant.traffic.tally import Tally

BATCH = 500
LINGER = 0.25
"""Seconds that a due truth waits for others, so that they travel together."""

Item = Mapping[str, Any]


class WrongTargetsFile(Fatal):
    """The file of targets cannot be read as one."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line of a targets file that was left out, and why."""

    line: int
    reason: str


def send_targets(client: Client, items: Sequence[Item], tally: Tally) -> None:
    """POST the items in batches; when a batch is refused, find the items that are to blame."""
    for start in range(0, len(items), BATCH):
        _send(client, items[start : start + BATCH], tally)


def _send(client: Client, items: Sequence[Item], tally: Tally) -> None:
    answer = client.post("/feedback", list(items))
    if answer.status in (413, 422) and len(items) > 1:
        half = len(items) // 2
        _send(client, items[:half], tally)
        _send(client, items[half:], tally)
    else:
        tally.count(answer, len(items))


def read_targets(path: Path, model: str, task: Task) -> tuple[list[Item], list[Malformed]]:
    """Items and malformed lines of a CSV with the columns prediction_id and target; raises WrongTargetsFile."""
    items: list[Item] = []
    malformed: list[Malformed] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            if not {"prediction_id", "target"} <= set(reader.fieldnames or ()):
                raise WrongTargetsFile(f"{path} must begin with the line: prediction_id,target")
            for row in reader:
                try:
                    items.append(_item(row, model, task))
                except ValueError as error:
                    malformed.append(Malformed(reader.line_num, str(error)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongTargetsFile(f"{path} cannot be read as CSV: {error}") from None
    return items, malformed


def _item(row: Mapping[str | None, Any], model: str, task: Task) -> Item:
    if None in row or None in row.values():
        raise ValueError("it has more or fewer fields than the first line")
    name, target = row["prediction_id"].strip(), row["target"].strip()
    if not name or not target:
        raise ValueError("prediction_id or target is empty")
    return {"prediction_id": name, "target": _number(target) if task == "regression" else target, "model": model}


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"target {text!r} is not a finite number")
    return value


class DelayedFeedback:
    """A thread that sends each truth `delay` seconds after it was added."""

    def __init__(
        self,
        client: Client,
        model: str,
        delay: float,
        tally: Tally,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._model, self._delay, self._clock = client, model, delay, clock
        self.tally = tally
        self._waiting: deque[tuple[float, Item]] = deque()
        self._changed = threading.Condition()
        self._complete = self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)
        self._thread.start()

    def add(self, targets: Mapping[str, Value]) -> None:
        """Truths by prediction id."""
        due = self._clock() + self._delay
        with self._changed:
            for name, target in targets.items():
                self._waiting.append((due, {"prediction_id": name, "target": target, "model": self._model}))
            self._changed.notify()

    @property
    def pending(self) -> int:
        """How many truths are not sent yet."""
        return len(self._waiting)

    def complete(self) -> None:
        """Nothing will be added any more: the thread ends once all is sent."""
        self._end(cancelled=False)

    def cancel(self) -> None:
        """Send nothing more; what is pending stays unsent."""
        self._end(cancelled=True)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread; True when it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _end(self, *, cancelled: bool) -> None:
        with self._changed:
            self._complete, self._cancelled = True, self._cancelled or cancelled
            self._changed.notify()

    def _run(self) -> None:
        while items := self._next_batch():
            send_targets(self._client, items, self.tally)
        self._client.close()

    def _next_batch(self) -> list[Item]:
        """The items that are due, once there are some; none when the thread should end."""
        with self._changed:
            while not self._cancelled and not (self._complete and not self._waiting):
                rest = self._waiting[0][0] + LINGER - self._clock() if self._waiting else None
                if rest is not None and rest <= 0:
                    return self._take_due()
                self._changed.wait(rest)
            return []

    def _take_due(self) -> list[Item]:
        now = self._clock()
        items: list[Item] = []
        while self._waiting and self._waiting[0][0] <= now and len(items) < BATCH:
            items.append(self._waiting.popleft()[1])
        return items
