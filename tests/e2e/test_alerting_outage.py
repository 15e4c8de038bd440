"""Services that go away and come back, live: the alerts of on-call fire, and resolve.

One constellation serves all tests of this file, in their order.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observability import needs_the_monitoring_stack
from tests.processes import wait_until
from tests.watched import LONG, Watched, watched

pytestmark = [needs_the_monitoring_stack, pytest.mark.timeout(900)]

EXPECTED = {"EvaluationStale", "OutboxBacklog", "ServiceDown"}
AWAY = ("monitoring", "mongo")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, calibrations: Path) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("outage"), calibrations) as found:
        yield found


def test_while_all_are_there_nobody_is_alerted(live: Watched) -> None:
    wait_until(lambda: live.holds("sextant_dataset_drift"), "a verdict that can become stale", LONG)
    assert live.observability.firing() == {"Watchdog"}


def test_without_monitoring_and_mongodb_the_alerts_fire(live: Watched) -> None:
    for name in AWAY:
        live.programs[name].kill()
    wait_until(lambda: live.observability.firing() >= EXPECTED, f"{EXPECTED} to fire", LONG)
    assert "ConservationBroken" not in live.observability.firing()


def test_once_both_are_back_the_alerts_resolve_and_nothing_is_missing(live: Watched) -> None:
    for name in reversed(AWAY):
        live.programs[name].start(wait=False)
    wait_until(lambda: not EXPECTED & live.observability.firing(), "all three to resolve", LONG)
    assert not {"ConservationBroken", "EventsDeadLettered"} & live.observability.firing()
