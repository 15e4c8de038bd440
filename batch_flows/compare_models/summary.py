"""What a comparison found, in the forms that people and programs read: verdict, facts, cautions and document."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batch_flows.compare_models.choice import FLOW, Choice
from batch_flows.reports.record import ReportRecord
from batch_flows.time_range import TimeRange

if TYPE_CHECKING:
    from batch_flows.compare_models.comparison import Comparison
    from batch_flows.compare_models.rows import ComparedRows
    from sextant.evaluation.performance.measures import Performance

MEASURES = {"regression": "mean absolute error", "classification": "error rate"}
MANY_REPEATED = 0.05
LEFT_OUT_OF_PAIRS = {
    "pairs_without_target": "{:,} pairs without a target",
    "pairs_with_different_targets": "{:,} pairs whose two targets differ",
    "pairs_unreadable": "{:,} pairs whose prediction or target cannot be read",
    "without_partner_a": "{:,} predictions of {a} without a partner",
    "without_partner_b": "{:,} predictions of {b} without a partner",
}
LEFT_OUT_OF_SIDES = {
    "without_target_a": "{:,} predictions of {a} without a readable target",
    "without_target_b": "{:,} predictions of {b} without a readable target",
}


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """One comparison: what was asked, which rows were read, and what they showed."""

    choice: Choice
    window: TimeRange
    rows: "ComparedRows"
    found: "Comparison"
    performance: "tuple[Performance, Performance]"

    @property
    def measure(self) -> str:
        """What is compared: the mean of the rows' errors, by its name in the task."""
        return MEASURES[self.choice.a.task]

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        a, b = self.choice.names
        if self.found.verdict == "none":
            return f"No difference between {a} and {b} is shown"
        better, worse = (b, a) if self.found.verdict == "b" else (a, b)
        return f"{better} is better than {worse}"

    @property
    def finding(self) -> str:
        """The figures behind the verdict."""
        a, b = self.choice.names
        low, high = self.amount(self.found.interval.low), self.amount(self.found.interval.high)
        return (
            f"{self.measure} of {b} less that of {a}: {self.amount(self.found.difference)} "
            f"(95% interval {low} to {high})"
        )

    @property
    def design(self) -> str:
        """Which rows were compared."""
        if self.found.paired:
            return f"paired, {self.found.rows_a:,} records that both answered"
        return f"unpaired, {self.found.rows_a:,} and {self.found.rows_b:,} rows of their own"

    @property
    def facts(self) -> dict[str, str]:
        """What a reader must know of the rows and the method."""
        (a, b), counts = self.choice.names, self.rows.counts
        sample = "" if counts.sampled_one_in == 1 else f"; compared: one in {counts.sampled_one_in:,}"
        facts = {
            "A": f"{self.choice.a.name}, version {self.choice.a.version}",
            "B": f"{self.choice.b.name}, version {self.choice.b.version}",
            "Window": str(self.window),
            "Predictions": f"{counts.predictions_a:,} of {a}, {counts.predictions_b:,} of {b}{sample}",
            "Compared": self.design,
            "Method": self._method(),
            "Effect": self._effect(),
            "Detectable": f"a difference of {self.amount(self.found.detectable).lstrip('+')}, four times in five",
        }
        if left_out := "; ".join(self._left_out()):
            facts["Left out"] = left_out
        return facts

    @property
    def cautions(self) -> list[str]:
        """Why the verdict may not mean what it says."""
        found, (a, b) = [], self.choice.names
        if self.rows.why_unpaired:
            found.append(
                f"Not paired: {self.rows.why_unpaired}. Each side is judged on rows of its own, so the verdict "
                "holds only if nothing but chance decided which model answered."
            )
        if self.rows.apart:
            found.append(
                f"{a} and {b} did not answer at the same time, so the difference may be one between the times."
            )
        repeated = self.rows.counts.pairs_of_repeated_records
        if self.found.paired and repeated > MANY_REPEATED * self.found.rows_a:
            found.append(
                f"{repeated:,} pairs repeat a record. If they are the same events sent again, there is less to "
                "learn from them than from new ones, and the interval is too narrow."
            )
        return found

    def sentence(self) -> str:
        """The finding in one line."""
        return f"{self.choice.a.name}, {self.window}: {self.verdict}; {self.finding}; {self.design}"

    def amount(self, difference: float) -> str:
        """A difference in the target's unit, or in percentage points, with its sign."""
        if self.choice.a.task == "classification":
            return f"{100 * difference:+.2f} points"
        if difference == 0:
            return "0"
        return f"{difference:+,.0f}" if abs(difference) >= 1_000 else f"{difference:+.3g}"

    def record(self, created_at: datetime) -> ReportRecord:
        """What is kept of the comparison; the same window of the same two versions is the same, made again."""
        report_id = f"{FLOW}_{self.choice.slug}_{self.window.slug}"
        return ReportRecord(
            id=report_id,
            flow=FLOW,
            model=self.choice.a.name,
            model_version=self.choice.versions,
            window=self.window,
            rows=self.rows.counts.predictions_a + self.rows.counts.predictions_b,
            rows_with_target=self.found.rows_a + self.found.rows_b,
            created_at=created_at,
            metrics=self._metrics(),
            html=f"{report_id}.html",
        )

    def _metrics(self) -> dict[str, Any]:
        decided = self.found.verdict != "none"
        sides = zip("ab", (self.choice.a, self.choice.b), self.performance, strict=True)
        return {
            "status": {"text": self.verdict if decided else "no difference shown", "kind": "quiet"},
            "verdict": self.found.verdict,
            "measure": self.measure,
            "difference": self.found.difference,
            "caution": self.cautions,
            "why_unpaired": self.rows.why_unpaired,
            **asdict(self.found),
            "counts": asdict(self.rows.counts),
            "sides": {
                side: {"model": of.name, "model_version": of.version, "performance": dict(performance.measures)}
                for side, of, performance in sides
            },
        }

    def _method(self) -> str:
        p_value = self.found.p_value
        return self.found.method if p_value is None else f"{self.found.method}, p = {p_value:.3g}"

    def _effect(self) -> str:
        effects = self.found.effects
        words = {"relative": "{:+.1%} of A's", "cohens_d": "Cohen's d {:+.2f}", "odds_ratio": "odds ratio {:.2f}"}
        named = [words[name].format(effects[name]) for name in words if name in effects]
        return "; ".join(named) or "none that can be told"

    def _left_out(self) -> Iterator[str]:
        (a, b), counts = self.choice.names, asdict(self.rows.counts)
        reasons = LEFT_OUT_OF_PAIRS if self.found.paired else LEFT_OUT_OF_SIDES
        for name, text in {
            "no_predictions": "{:,} documents that are no predictions or targets",
            **reasons,
        }.items():
            if counts[name]:
                yield text.format(counts[name], a=a, b=b)


def too_few(choice: Choice, window: TimeRange, rows: "ComparedRows", least: int) -> str:
    """Why there is no comparison, in one sentence."""
    (a, b), counts = choice.names, rows.counts
    return (
        f"{choice.a.name}, {window}: {len(rows.frame_a):,} labelled predictions of {a} "
        f"(of {counts.predictions_a:,}) and {len(rows.frame_b):,} of {b} (of {counts.predictions_b:,}); "
        f"at least {least} of each are needed, so there is no comparison ({rows.why_unpaired})"
    )
