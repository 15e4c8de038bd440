"""The faults: what each does to the site, how it ends, and which of them this machine can do."""

from collections.abc import Mapping

from chaos.faults.disk import DISK_FAULTS, LOG_FAULTS, SHIM_FAULTS
from chaos.faults.kinds import Fault
from chaos.faults.network import MONGO_DISK_FAULTS, NETWORK_FAULTS, poison_fault
from chaos.faults.processes import PROCESS_FAULTS
from chaos.site import Site
from chaos.traffic import Clients


def possible_faults(site: Site, clients: Clients) -> tuple[list[Fault], Mapping[str, str]]:
    """What can be done here, and why the rest cannot."""
    faults = [*PROCESS_FAULTS, *NETWORK_FAULTS, poison_fault(clients), *LOG_FAULTS]
    skipped = {}
    for needed, more, reason in (
        (site.disk, DISK_FAULTS, "needs root, mkfs.ext4 and loop devices"),
        (site.shim, SHIM_FAULTS, "needs a C compiler"),
        (site.mongo_disk, MONGO_DISK_FAULTS, "needs root"),
    ):
        if needed is not None:
            faults += more
        else:
            skipped.update({fault.name: reason for fault in more})
    return faults, skipped
