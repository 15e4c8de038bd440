"""Writes the tables of docs/metrics.md from the code, and what series they cost: `python -m docs.metrics`."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitoring_service.metrics import GAUGES, MonitoringMetrics
from monitoring_service.service import publish_links
from prediction_service.metrics import LATENCY_BUCKETS, CpuPrice, Metrics
from prediction_service.outbox import Outbox
from prediction_service.outbox_types import SINKS
from prediction_service.process_metrics import ProcessesCollector
from prediction_service.relay_metrics import RelayMetrics
from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.performance.measures import REGRESSION
from sextant.infrastructure.settings import load_settings

PAGE = Path(__file__).with_suffix(".md")
CREATED = "_created"  # prometheus_client's extra series; the services leave them out

SIZES: Mapping[str, int] = {
    "models": 10,
    "versions": 2,
    "features": 10,
    "segments": 6,
    "measures": len(REGRESSION) + 1,
    "outcomes": 5,
    "checks": 3,
    "sinks": len(SINKS),
    "buckets": len(LATENCY_BUCKETS) + 3,
    "keys": 10,
}
"""A typical fleet; outcomes, checks, sinks and buckets are the same everywhere."""

UNITS = {
    "_timestamp_seconds": "Unix time",
    "_start_time_seconds": "Unix time",
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_ratio": "ratio",
    "_info": "always 1",
    "_per_second": "rows a second",
    "_per_hour": "money an hour",
    "_mean": "the target's",
    "performance": "the measure's",
    "_score": "score",
}
"""By the end of a name; all others are counts."""

WRITTEN = "<!-- From here on written by `python -m docs.metrics`. -->\n"
LABELS = [
    "model",
    "version",
    "kind",
    "feature",
    "method",
    "measure",
    "segment",
    "check",
    "key",
    "outcome",
    "sink",
    "task",
]


@dataclass(frozen=True, slots=True)
class Described:
    """One metric as its service exposes it."""

    service: str
    name: str
    type: str
    help: str
    labels: tuple[str, ...]

    @property
    def factors(self) -> list[str]:
        """What its series at most multiply to, in the words of SIZES: "models + 1", "outcomes" …"""
        factors = [_factor(self, label) for label in self.labels] + ["buckets"] * (self.type == "histogram")
        return [factor for factor in factors if factor]

    def most_series(self, sizes: Mapping[str, int]) -> int:
        """How many series a fleet of these sizes can have."""
        product = 1
        for factor in self.factors:
            product *= sum(sizes[word] if word in sizes else int(word) for word in factor.split(" + "))
        return product


def _factor(metric: Described, label: str) -> str | None:
    """How many values a label can have; None: no more than the labels before it already give."""
    counts_requests = metric.service == "prediction" and metric.type != "gauge"
    if label == "model":
        return "models + 1" if counts_requests else "models"
    if label == "version":
        return "versions" if counts_requests else None
    if label == "segment":
        return "segments + 1" if "measure" in metric.labels else "segments"
    if label == "key":
        return "keys + 1"
    if label == "feature":
        return _columns(metric)
    return f"{label}s" if f"{label}s" in SIZES else None


def _columns(metric: Described) -> str:
    if "method" in metric.labels:
        return "features + 2"
    return "features" if "version" in metric.labels else "features + 4"


def described() -> list[Described]:
    """Every metric of every service, each service in the order of its exposition."""
    return [*_prediction(), *_relay(), *_monitoring()]


def parse(service: str, text: str) -> Iterator[Described]:
    """The metrics in a text exposition, with the labels of their samples."""
    for family in text_string_to_metric_families(text):
        labels = next((frozenset(sample.labels) for sample in family.samples), frozenset())
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not name.endswith(CREATED):
            yield Described(service, name, family.type, family.documentation, _ordered(labels))


def _ordered(labels: frozenset[str]) -> tuple[str, ...]:
    ours = [label for label in LABELS if label in labels]
    return (*ours, *sorted(labels - {"le", *LABELS}))


def _prediction() -> Iterator[Described]:
    metrics = Metrics(at_scrape=[ProcessesCollector(os.getpid()), CpuPrice(1.0)])
    manifest = Manifest.model_construct(name="taxi", version="v1", task="regression")
    metrics.observe("taxi", "v1", "ok", records=1, seconds=0.001, cpu_seconds=0.001)
    metrics.rejected_values.labels("taxi", "v1", "trip_distance").inc()
    metrics.feedback.labels("taxi", "ok").inc()
    metrics.count_key("shop", "accepted")
    return parse("prediction", metrics.exposition([manifest]).decode())


def _relay() -> Iterator[Described]:
    with tempfile.TemporaryDirectory() as folder:
        limit = 1 << 20
        with closing(RelayMetrics(lambda: Outbox(Path(folder, "outbox.db"), limit), limit)) as metrics:
            return parse("relay", generate_latest(metrics.registry).decode())


def _monitoring() -> Iterator[Described]:
    metrics = MonitoringMetrics([])
    publish_links(metrics.registry, load_settings())
    metrics.count_error("taxi", "trip_distance")
    metrics.count_events("accepted", 1)
    for metric in parse("monitoring", generate_latest(metrics.registry).decode()):
        _, labels = GAUGES.get(metric.name.removeprefix("sextant_"), ("", metric.labels))
        yield Described("monitoring", metric.name, metric.type, metric.help, labels)


def unit(metric: Described) -> str:
    """The unit of a metric's values."""
    if "(0 or 1)" in metric.help:
        return "0 or 1"
    name = metric.name.removesuffix("_total")
    if name.endswith("_threshold"):
        return "as what it limits"
    return next((text for end, text in UNITS.items() if name.endswith(end)), "count")


def page() -> str:
    """The text of docs/metrics.md."""
    metrics = described()
    head, _, _ = PAGE.read_text("utf-8").partition(WRITTEN)
    parts = [head + WRITTEN, _cost(metrics)]
    for service in dict.fromkeys(metric.service for metric in metrics):
        parts.append(_table(service, [metric for metric in metrics if metric.service == service]))
    return "\n".join(parts)


def _cost(metrics: list[Described]) -> str:
    total = sum(metric.most_series(SIZES) for metric in metrics)
    models, versions, features, segments, measures, *_ = SIZES.values()
    return f"""## What ten models cost

At most {total:,} series: {models} models with {features} features, a segment column of five values and "other"
({segments} segments), {measures} measures (those of a regression), {versions} versions served since the start,
and {SIZES["keys"]} API keys.
The last column of each table says for which metric. Nearly all of it grows in proportion to the models; workers of
the prediction service share their series.
"""


def _table(service: str, metrics: list[Described]) -> str:
    lines = [
        f"## {service.capitalize()}",
        "",
        "| metric | type | unit | labels | meaning | series at most | ten models |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, metrics),
        "",
    ]
    return "\n".join(lines)


def _row(metric: Described) -> str:
    labels = ", ".join(metric.labels)
    factors = [f"({factor})" if " " in factor and len(metric.factors) > 1 else factor for factor in metric.factors]
    bound = " × ".join(factors) or "1"  # noqa: RUF001
    cells = (metric.name, metric.type, unit(metric), labels, metric.help, bound, metric.most_series(SIZES))
    return "| `{}` | {} | {} | {} | {} | {} | {:,} |".format(*cells)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
