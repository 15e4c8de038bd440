"""Outbox and relay against a model: crashes, power cuts, failing disks and picky sinks, in any order."""

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from prediction_service import outbox as outbox_module
from prediction_service import outbox_connection
from prediction_service.delivery import Delivery
from prediction_service.errors import OutboxFull, OutboxUnavailable, SinkUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_types import SINKS, NewEvent, QueuedEvent, RefusedEvent
from tests.failing_disk import Disk

LIMIT = 1 << 20
POISON = b"poison"


class Sink:
    """Keeps what it is given, also when it fails afterwards, so that the relay does not know."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept: list[bytes] = []
        self.takes = 1_000
        """Events that it takes until it fails."""

    def deliver(self, events: Sequence[QueuedEvent]) -> list[RefusedEvent]:
        """All but the poison, which it refuses for good."""
        for event in events:
            if self.takes == 0:
                raise SinkUnavailable("away")
            self.takes -= 1
            if not event.body.startswith(POISON):
                self.kept.append(event.body)
        return [RefusedEvent(event.seq, "poison") for event in events if event.body.startswith(POISON)]


class OutboxMachine(RuleBasedStateMachine):
    """Two workers and a relay on one outbox; each rule is something that happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.disk = Disk()
        self.disks = [self.disk]
        self.patch.setattr(os, "fdatasync", self.disk.sync)
        self.patch.setattr(os, "fsync", self.disk.sync)
        self.patch.setattr(outbox_connection, "REPLACE_SECONDS", 0.0)
        self.patch.setattr(outbox_module, "SPARE_PAGES", 4)
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name) / "0"
        self.sinks = {name: Sink(name) for name in SINKS}
        self.acknowledged: list[bytes] = []
        self.number = 0
        self.dead: list[Outbox] = []
        """Processes that were killed: nothing of them is closed in good order."""
        self._start()

    def _start(self) -> None:
        self.workers = [Outbox(self.folder / "outbox.db", LIMIT) for _ in range(2)]
        self.relay = Outbox(self.folder / "outbox.db", LIMIT)
        self.deliveries = {
            name: Delivery(lambda: self.relay, sink, jitter=lambda: 0.0) for name, sink in self.sinks.items()
        }

    def _accept(self, worker: int, count: int, *, prefix: bytes = b"") -> None:
        bodies = [prefix + b"%d" % (self.number + n) for n in range(count)]
        self.number += count
        try:
            self.workers[worker].append([NewEvent("prediction", body) for body in bodies])
        except (OutboxUnavailable, OutboxFull):
            return
        self.acknowledged += bodies

    @rule(worker=st.integers(0, 1), count=st.integers(1, 5))
    def accept(self, worker: int, count: int) -> None:
        self._accept(worker, count)

    @rule(worker=st.integers(0, 1))
    def accept_poison(self, worker: int) -> None:
        self._accept(worker, 1, prefix=POISON)

    @rule(failing=st.booleans())
    def disk_fails_or_works(self, failing: bool) -> None:
        self.disk.failing = failing

    @rule(sink=st.sampled_from(SINKS), takes=st.integers(0, 8))
    def deliver_until_the_sink_fails(self, sink: str, takes: int) -> None:
        self.sinks[sink].takes = takes
        self._deliver(sink)
        self.sinks[sink].takes = 1_000

    @rule(sink=st.sampled_from(SINKS))
    def deliver(self, sink: str) -> None:
        self._deliver(sink)

    def _deliver(self, sink: str) -> None:
        if self.relay.replaced:  # as Delivery.run() does
            self.dead.append(self.relay)
            self.relay = Outbox(self.folder / "outbox.db", LIMIT)
        self.deliveries[sink].step(self.relay)

    @rule()
    def redeliver_dead_letters(self) -> None:
        try:
            self.workers[0].redeliver(list(self.workers[0].dead_letters()))
        except (OutboxUnavailable, OutboxFull):
            return

    @rule()
    def kill_all(self) -> None:
        self.dead += [*self.workers, self.relay]
        self._start()

    @rule()
    def cut_the_power(self) -> None:
        self.dead += [*self.workers, self.relay]
        self.disk.failing = False
        after = self.folder.with_name(str(int(self.folder.name) + 1))
        self.disks.append(self.disk.restarted(self.folder, after))
        self.disk = self.disks[-1]
        self.patch.setattr(os, "fdatasync", self.disk.sync)
        self.patch.setattr(os, "fsync", self.disk.sync)
        self.folder = after
        self._start()

    @invariant()
    def every_event_is_accounted_for_once(self) -> None:
        assert all(counts.conserved for counts in self.workers[0].counts().values())

    def teardown(self) -> None:
        self.disk.failing = False
        self.workers[0].check_writable()
        while any(self.workers[0].counts()[sink].queued for sink in SINKS):
            for sink in SINKS:
                self._deliver(sink)
        letters = Counter((letter.sink, letter.event.body) for letter in self.workers[0].dead_letters())
        for name, sink in self.sinks.items():
            for body in self.acknowledged:
                assert body in sink.kept or letters[name, body], f"{body!r} never came to {name}"
            first = list(dict.fromkeys(body for body in sink.kept if body in set(self.acknowledged)))
            assert first == sorted(first, key=self.acknowledged.index), f"out of order at {name}"
        for process in (*self.workers, self.relay, *self.dead):
            process.close()
        for disk in self.disks:
            disk.close()
        self.patch.undo()
        self.scratch.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
