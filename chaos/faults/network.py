"""Connections that are reset, refused or slow, a MongoDB that cannot write, and clients that send nonsense."""

from collections.abc import Iterator
from functools import partial
from random import Random

from chaos.faults.kinds import Fault
from chaos.site import Site
from chaos.traffic import Clients

_WAYS = {"mongo": "relay to MongoDB", "monitoring": "relay to monitoring", "prediction": "client to prediction"}


def _faults() -> Iterator[Fault]:
    for name, way in _WAYS.items():
        yield Fault(f"resets, {way}", "network", partial(_resets, name))
        yield Fault(f"refusals, {way}", "network", partial(_refusals, name))
        yield Fault(f"latency, {way}", "network", partial(_latency, name))


def _resets(name: str, site: Site, random: Random) -> bool:
    for _ in range(random.randint(5, 20)):
        site.proxies[name].reset()
        site.pause(random.uniform(0.02, 0.3))
    return True


def _refusals(name: str, site: Site, random: Random) -> bool:
    with site.proxies[name].refusing():
        site.pause(random.uniform(1, 5))
    return True


def _latency(name: str, site: Site, random: Random) -> bool:
    with site.proxies[name].delayed(random.uniform(0.05, 0.8)):
        site.pause(random.uniform(2, 6))
    return True


def poison_fault(clients: Clients) -> Fault:
    """Clients that send what must be refused, or become a dead letter."""
    return Fault("poison records", "network", partial(_poison, clients))


def _poison(clients: Clients, site: Site, random: Random) -> bool:
    clients.send_poison.set()
    site.pause(random.uniform(3, 6))
    clients.send_poison.clear()
    return True


def _full_mongo(site: Site, random: Random) -> bool:
    assert site.mongo_disk
    try:
        site.mongo_disk.fill()
        site.pause(random.uniform(2, 5))
    finally:
        site.mongo_disk.relieve()
    return True


NETWORK_FAULTS = tuple(_faults())
MONGO_DISK_FAULTS = (Fault("disk of MongoDB full", "network", _full_mongo),)
