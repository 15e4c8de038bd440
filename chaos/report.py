"""The result of a run, as a table for people and as JSON."""

import os
from dataclasses import asdict
from typing import Any

from chaos.run import Outcome


def table(outcome: Outcome) -> str:
    """Everything, in lines for a terminal."""
    lines = ["", f"{'fault':<62}{'times':>8}"]
    lines += [f"{name:<62}{times:>8,}" for name, times in sorted(outcome.faults.items())]
    lines += [f"{'in all':<62}{sum(outcome.faults.values()):>8,}   of {len(outcome.faults)} kinds", ""]
    lines += [f"skipped: {name} ({reason})" for name, reason in outcome.skipped.items()]
    lines.append(
        f"acknowledged: {outcome.predictions:,} predictions and {outcome.targets:,} targets, in "
        f"{outcome.counts.get('requests', 0):,} requests with {outcome.counts.get('retries', 0):,} retries; "
        f"{outcome.counts.get('poison', 0):,} poison records"
    )
    lines += [
        f"{name} ended {len(codes)} times by itself (exit codes {sorted(set(codes))}) and was started again"
        for name, codes in outcome.ended_unasked.items()
        if codes
    ]
    lines += ["", f"{'check':<62}{'violations':>10}"]
    for check in outcome.checks:
        lines.append(f"{check.name:<62}{check.violations:>10,}")
        lines += [f"    {example}" for example in check.examples]
    lines += [
        "",
        f"{'passed' if outcome.holds else 'FAILED'}: seed {outcome.seed}, {outcome.seconds:.0f} s of faults",
    ]
    return "\n".join(lines)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The same, for programs."""
    return {
        **asdict(outcome),
        "passed": outcome.holds,
        "acknowledged": outcome.predictions + outcome.targets,
        "faults_in_all": sum(outcome.faults.values()),
        "cores": os.cpu_count(),
    }
