"""The machine and MongoDB under the services, as their exporters see them; sections of the health dashboard."""

from grafana_foundation_sdk.builders import stat, timeseries

from grafana import colours
from grafana.page import Section, Sized
from grafana.panels import Query, Text, lines, state

NO_NODE = "no node exporter"
NO_MONGODB = "no MongoDB exporter"
DISKS = 'fstype!~"tmpfs|devtmpfs|ramfs|squashfs"'
CARDS = 'device!~"lo|veth.*|br-.*|docker.*"'


def node() -> Section:
    """Processor, memory, disk and network of the machine."""
    first = (Sized(_cpu(), 8, 7), Sized(_memory(), 8, 7), Sized(_disk(), 8, 7))
    second = (Sized(_disk_rate(), 12, 7), Sized(_network(), 12, 7))
    return Section("Machine", (first, second))


def mongodb() -> Section:
    """Whether MongoDB answers and what it does."""
    line = (Sized(_up(), 4, 7), Sized(_connections(), 10, 7), Sized(_operations(), 10, 7))
    return Section("MongoDB", (line,))


def _cpu() -> timeseries.Panel:
    text = Text("Machine: processor", "Share of all cores in use.", "percentunit", NO_NODE)
    idle = 'avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))'
    return lines(text, Query(f"1 - {idle}", "{{instance}}"), threshold=0.9).max(1)


def _memory() -> timeseries.Panel:
    text = Text("Machine: memory", "Share of the memory that is not available.", "percentunit", NO_NODE)
    used = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
    return lines(text, Query(used, "{{instance}}"), threshold=0.9).max(1)


def _disk() -> timeseries.Panel:
    text = Text(
        "Machine: disk",
        "Share of each file system in use. A full disk stops the outbox: /predict answers 503.",
        "percentunit",
        NO_NODE,
    )
    free = f"node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes{{{DISKS}}}"
    return lines(text, Query(f"max by (instance, mountpoint) (1 - {free})", "{{mountpoint}}"), threshold=0.9).max(
        1
    )


def _disk_rate() -> timeseries.Panel:
    text = Text(
        "Machine: disk traffic",
        "Bytes a second to and from the disks; each accepted prediction is synced, so slow disks are slow "
        "answers.",
        "Bps",
        NO_NODE,
    )
    return lines(
        text,
        Query("sum by (instance) (rate(node_disk_read_bytes_total[$__rate_interval]))", "read {{instance}}"),
        Query("sum by (instance) (rate(node_disk_written_bytes_total[$__rate_interval]))", "written {{instance}}"),
    ).min(0)


def _network() -> timeseries.Panel:
    text = Text("Machine: network", "Bytes a second by network card.", "Bps", NO_NODE)
    received = f"rate(node_network_receive_bytes_total{{{CARDS}}}[$__rate_interval])"
    sent = f"rate(node_network_transmit_bytes_total{{{CARDS}}}[$__rate_interval])"
    return lines(
        text,
        Query(f"sum by (instance, device) ({received})", "received {{device}}"),
        Query(f"sum by (instance, device) ({sent})", "sent {{device}}"),
    ).min(0)


def _up() -> stat.Panel:
    text = Text("MongoDB", "Whether it answers. Down: predictions go on and the outbox grows.", empty=NO_MONGODB)
    words = colours.words(("0", "down", colours.BAD), ("1", "up", colours.GOOD))
    return state(text, "min(mongodb_up)", words)


def _connections() -> timeseries.Panel:
    text = Text("MongoDB: connections", "Open and still available ones.", "short", NO_MONGODB)
    query = 'sum by (conn_type) (mongodb_ss_connections{conn_type=~"current|active|available"})'
    return lines(text, Query(query, "{{conn_type}}")).min(0)


def _operations() -> timeseries.Panel:
    text = Text(
        "MongoDB: operations", "Operations a second by kind; inserts follow the predictions.", "ops", NO_MONGODB
    )
    query = "sum by (legacy_op_type) (rate(mongodb_ss_opcounters[$__rate_interval]))"
    return lines(text, Query(query, "{{legacy_op_type}}")).min(0)
