"""Services that go away and come back, live: the alerts of on-call fire, and resolve."""

from pathlib import Path

import pytest

from tests.observability import needs_the_monitoring_stack
from tests.processes import wait_until
from tests.watched import LONG, watched

pytestmark = [needs_the_monitoring_stack, pytest.mark.timeout(900)]


def test_without_monitoring_and_mongodb_the_alerts_fire_and_afterwards_resolve(
    tmp_path: Path, calibrations: Path
) -> None:
    expected = {"EvaluationStale", "OutboxBacklog", "ServiceDown"}
    with watched(tmp_path, calibrations) as live:
        wait_until(lambda: live.holds("sextant_dataset_drift"), "a verdict that can become stale", LONG)
        assert live.observability.firing() == {"Watchdog"}
        for name in ("monitoring", "mongo"):
            live.programs[name].kill()
        wait_until(lambda: expected <= live.observability.firing(), f"{expected} to fire", LONG)
        assert "ConservationBroken" not in live.observability.firing()

        for name in ("mongo", "monitoring"):
            live.programs[name].start(wait=False)
        wait_until(lambda: not expected & live.observability.firing(), "all three to resolve", LONG)
        assert not {"ConservationBroken", "EventsDeadLettered"} & live.observability.firing()
