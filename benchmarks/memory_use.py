"""Resident memory of a program with all its child processes, as the kernel counts it."""

from pathlib import Path


def with_children(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for process in found:
        for tasks in Path(f"/proc/{process}/task").glob("*/children"):
            found += [int(child) for child in tasks.read_text().split()]
    return found


def field(pid: int, name: str) -> int:
    """Bytes in a line of /proc/<pid>/status: VmRSS now, or VmHWM at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


def resident(pid: int, name: str = "VmRSS") -> int:
    """The sum over a process and all below it; what they share counts for each."""
    total = 0
    for process in with_children(pid):
        try:
            total += field(process, name)
        except OSError:  # ended meanwhile
            continue
    return total
