"""The outbox's disk: full, failing, without power; syncs that fail, and a clock that jumps."""

from random import Random

from chaos.faults.kinds import Fault
from chaos.programs import wait_until
from chaos.site import Site
from chaos.wal import tear


def _full(site: Site, random: Random) -> bool:
    assert site.disk
    try:
        site.disk.fill()
        site.pause(random.uniform(1, 4))
    finally:
        site.disk.relieve()
    return True


def _failing(site: Site, random: Random) -> bool:
    """Writes fail for a while and then no longer; the power that is cut afterwards shows what was written."""
    assert site.disk
    with site.deliveries_held_back():
        site.pause(random.uniform(0.5, 2))
        try:
            site.disk.fail()
            site.pause(random.uniform(1, 3))
        finally:
            site.disk.relieve()
        site.pause(random.uniform(2, 5))
        return _cut_power(site, random)


def _power_cut(site: Site, random: Random) -> bool:
    with site.deliveries_held_back():
        site.pause(random.uniform(1, 4))
        return _cut_power(site, random)


def _cut_power(site: Site, random: Random) -> bool:
    assert site.disk
    with site.outbox_closed():
        site.disk.cut_power()
        if random.random() < 0.5:
            tear(site.outbox.with_name(site.outbox.name + "-wal"), random)
    return True


def _torn_tail(site: Site, random: Random) -> bool:
    """The last write before a kill stands in the file in part: one that nobody was told of."""
    with site.deliveries_held_back():
        site.pause(random.uniform(0.5, 3))
        with site.outbox_closed():
            return tear(site.outbox.with_name(site.outbox.name + "-wal"), random)


def _failing_syncs(site: Site, random: Random) -> bool:
    assert site.shim
    before = site.shim.syncs_failed
    with site.deliveries_held_back():
        try:
            site.shim.fail_syncs(True)
            site.pause(random.uniform(0.2, 2.5))
        finally:
            site.shim.fail_syncs(False)
        site.pause(random.uniform(1, 3))
        if site.disk and random.random() < 0.5:
            _cut_power(site, random)
    return site.shim.syncs_failed > before


def _killed_replacement(site: Site, random: Random) -> bool:
    """A sync fails, and whoever then makes the new outbox is killed between two of its steps."""
    assert site.shim
    before, shim = site.shim.syncs_failed, site.shim
    with site.deliveries_held_back():
        site.pause(random.uniform(0.5, 2))
        try:
            shim.fail_syncs(True)
            wait_until(lambda: shim.syncs_failed > before or site.stopping.is_set(), 5, pause=0.01)
            shim.die_at_change(random.randint(1, 7))
            shim.fail_syncs(False)
            died = wait_until(lambda: not shim.changes_until_death, 5, pause=0.01)
        finally:
            shim.fail_syncs(False)
            shim.die_at_change(0)
        site.pause(random.uniform(0, 2))
        if site.disk and random.random() < 0.5:
            _cut_power(site, random)
    return died


def _clock_jump(site: Site, random: Random) -> bool:
    assert site.shim
    try:
        site.shim.jump(random.choice([-1, 1]) * random.choice([2.0, 90.0, 3_600.0, 86_400.0]))
        site.pause(random.uniform(1, 4))
    finally:
        site.shim.jump(0)
    return True


def heal(site: Site) -> None:
    """End whatever a fault may have left: a disk that gave itself up is mounted again."""
    if site.disk and site.disk.is_read_only:
        with site.outbox_closed():
            site.disk.cut_power()


DISK_FAULTS = (
    Fault("disk of the outbox full", "disk", _full),
    Fault("disk of the outbox fails, then a power cut", "disk", _failing),
    Fault("power cut", "disk", _power_cut),
)
LOG_FAULTS = (Fault("torn tail of the outbox's log", "disk", _torn_tail),)
SHIM_FAULTS = (
    Fault("failing syncs", "disk", _failing_syncs),
    Fault("kill -9 while the outbox is replaced", "disk", _killed_replacement),
    Fault("clock jump", "disk", _clock_jump),
)
