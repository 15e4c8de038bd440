"""What came of the requests: how many of each route had which status, and what must not be."""

from collections import Counter
from dataclasses import dataclass, field

NO_ANSWER, HANG = "closed", "hang"


@dataclass
class Table:
    """Requests by service, route and status; `wrong` are those that fail the run, with an example each."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wrong: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def add(self, service: str, route: str, status: str, sent: bytes, problem: bool) -> None:
        """Count a request; `problem`: the answer says what is wrong, as problem+json with Retry-After.

        /readyz is there to answer 503.
        """
        self.counts[service, route, status] += 1
        stated = status == "503" and (problem or route == "/readyz")
        if status == HANG or (status.startswith("5") and not stated):
            self.wrong.setdefault((service, route, status), sent)

    @property
    def total(self) -> int:
        """How many requests there were."""
        return self.counts.total()

    def text(self) -> str:
        """As Markdown."""
        statuses = sorted({status for _, _, status in self.counts})
        lines = [f"| service | route | {' | '.join(statuses)} | sum |", "|" + " --- |" * (len(statuses) + 3)]
        for service, route in sorted({key[:2] for key in self.counts}):
            numbers = [self.counts[service, route, status] for status in statuses]
            lines.append(_row(service, f"`{route}`", numbers))
        sums = [sum(n for key, n in self.counts.items() if key[2] == status) for status in statuses]
        return "\n".join([*lines, _row("", "all", sums)])


def _row(service: str, route: str, numbers: list[int]) -> str:
    cells = " | ".join(f"{number:,}" if number else "" for number in numbers)
    return f"| {service} | {route} | {cells} | {sum(numbers):,} |"
