"""The sliding window of one model: a value that depends on which events came, not on how they were batched."""

from bisect import bisect_left, insort
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from statistics import median

from sextant.contracts.events import Prediction, Target

EVER = datetime.min.replace(tzinfo=UTC)


class Added(Enum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"


@dataclass(frozen=True, slots=True)
class WindowRows:
    """A copy of a window's rows of one model version, oldest first."""

    predictions: tuple[Prediction, ...]
    targets: dict[str, Target]
    other_versions: int

    @property
    def start(self) -> datetime | None:
        """When the oldest prediction was made."""
        return min((prediction.created_at for prediction in self.predictions), default=None)

    @property
    def end(self) -> datetime | None:
        """When the newest prediction was made."""
        return max((prediction.created_at for prediction in self.predictions), default=None)

    @property
    def label_delay(self) -> float | None:
        """Median seconds from a prediction to its target, over the labelled rows."""
        delays = [
            (self.targets[p.prediction_id].received_at - p.created_at).total_seconds()
            for p in self.predictions
            if p.prediction_id in self.targets
        ]
        return median(delays) if delays else None


class Window:
    """The newest `size` predictions by (created_at, id), with their targets, in memory bounded by `size`.

    With `seconds`, only those of so long before the newest one. When a prediction was made decides, not when its
    event took place: a replay of older months or a client's wrong clock would keep the rows of the present out.

    Not safe to share between threads. Events may come late, twice, in any order and in any batches: the same
    events give the same window.
    """

    def __init__(self, size: int, seconds: float | None = None) -> None:
        self._size = size
        self._span = timedelta.max if seconds is None else timedelta(seconds=seconds)
        self._order: list[tuple[datetime, str]] = []
        self._predictions: dict[str, Prediction] = {}
        self._targets: dict[str, Target] = {}
        self._early: OrderedDict[str, Target] = OrderedDict()
        self._newest_target = EVER
        self.revision = 0

    def __len__(self) -> int:
        return len(self._order)

    def add_prediction(self, prediction: Prediction) -> Added:
        """Take a prediction; one that is older than the window reaches back stays outside."""
        identifier = prediction.prediction_id
        if identifier in self._predictions:
            return Added.DUPLICATE
        place = (prediction.created_at, identifier)
        if self._is_too_old(place):
            return Added.TOO_OLD
        insort(self._order, place)
        self._predictions[identifier] = prediction
        if early := self._early.pop(identifier, None):
            self._targets[identifier] = early
        while len(self._order) > self._size or self._order[-1][0] - self._order[0][0] > self._span:
            self._forget(self._order.pop(0)[1])
        self.revision += 1
        return Added.ACCEPTED

    def _is_too_old(self, place: tuple[datetime, str]) -> bool:
        if not self._order:
            return False
        full = len(self._order) >= self._size
        return (full and place < self._order[0]) or self._order[-1][0] - place[0] > self._span

    def add_recorded(self, prediction: Prediction) -> Added:
        """Take a prediction as it is on record, also in place of one that came under its id at another time.

        A request that is sent again is answered again, and the record may hold the other answer.
        """
        identifier = prediction.prediction_id
        held = self._predictions.get(identifier)
        if held is None or held.created_at == prediction.created_at:
            return self.add_prediction(prediction)
        del self._order[bisect_left(self._order, (held.created_at, identifier))]
        if target := self._targets.get(identifier):
            self._early[identifier] = target
        self._forget(identifier)
        return self.add_prediction(prediction)

    def add_target(self, target: Target) -> Added:
        """Join a target to its prediction, or keep it for one that may still come; the newest one counts."""
        identifier = target.prediction_id
        known = self._targets.get(identifier) or self._early.get(identifier)
        if known is not None and known.received_at >= target.received_at:
            return Added.DUPLICATE
        self._newest_target = max(self._newest_target, target.received_at)
        if identifier in self._predictions:
            self._targets[identifier] = target
            self.revision += 1
            return Added.ACCEPTED
        self._early[identifier] = target
        self._early.move_to_end(identifier)
        while len(self._early) > self._size:
            self._early.popitem(last=False)
        return Added.ACCEPTED

    def rows(self, version: str) -> WindowRows:
        """The rows of one version; how many rows of other versions there are is only counted."""
        ordered = (self._predictions[identifier] for _, identifier in self._order)
        predictions = tuple(p for p in ordered if p.model_version == version)
        targets = {
            p.prediction_id: self._targets[p.prediction_id]
            for p in predictions
            if p.prediction_id in self._targets
        }
        return WindowRows(predictions, targets, len(self._order) - len(predictions))

    def drop_later_than(self, moment: datetime) -> None:
        """Forget what is dated later, as if it had not come: a clock was ahead when it did."""
        before = len(self._order)
        while self._order and self._order[-1][0] > moment:
            self._forget(self._order.pop()[1])
        if len(self._order) < before or self._newest_target > moment:
            self.revision += 1
        if self._newest_target > moment:
            for targets in (self._targets, self._early):
                for identifier in [key for key, target in targets.items() if target.received_at > moment]:
                    del targets[identifier]
            self._newest_target = moment

    def _forget(self, identifier: str) -> None:
        del self._predictions[identifier]
        self._targets.pop(identifier, None)
