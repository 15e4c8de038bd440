"""Services with their traffic, watched by a real Prometheus and Alertmanager."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import publish_real_bundles
from tests.observability import Observability
from tests.processes import Program, Services, wait_until
from tests.traffic import Traffic

MODEL, VERSION = "taxi", "v1"
LONG = 420.0  # seconds; the rules wait on purpose, the longest of them for 120 + 60
SETTINGS = {
    "WINDOW_SIZE": "500",
    "WINDOW_MIN_ROWS": "200",
    "EVALUATE_EVERY": "5",
    "MULTIVARIATE_EVERY": "20",
    "CPU_PRICE_PER_HOUR": "0.04",
}
NO_FALSE_ALARM = {"FALSE_ALARM_RATE": "0.0001"}  # the tests are about the way of an alarm, not about its rate


@dataclass(frozen=True)
class Watched:
    """A constellation by the parts that a test looks at or stops."""

    services: Services
    observability: Observability
    programs: dict[str, Program]
    traffic: Traffic

    def holds(self, expression: str) -> bool:
        """Whether Prometheus finds anything."""
        return bool(self.observability.query(expression))

    def wait_for_a_minute_of_verdicts(self) -> None:
        verdicts = f'count_over_time(sextant_dataset_drift{{model="{MODEL}"}}[1m]) >= 11'
        wait_until(lambda: self.holds(verdicts), "a minute of calibrated evaluations", LONG)


@contextmanager
def watched(folder: Path, calibrations: Path) -> Iterator[Watched]:
    """All of it, started together and stopped at the end."""
    services = Services(folder, calibrations)
    publish_real_bundles(services.models_dir)
    observability = Observability(services)
    services.environment |= {**SETTINGS, "LIVE_PAGE_URL": services.monitoring_url}
    programs = {
        "mongo": services.mongo(),
        "monitoring": services.monitoring(**NO_FALSE_ALARM),
        "prediction": services.prediction(),
        "relay": services.relay(),
    }
    try:
        for program in programs.values():
            program.start(wait=False)
        for program in programs.values():
            program.wait_ready()
        observability.start()
        with Traffic(services.prediction_url) as traffic:
            yield Watched(services, observability, programs, traffic)
    finally:
        services.stop_all()
