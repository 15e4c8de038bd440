"""How often the alerts of drift and error fire when nothing changed, and how late they come when something did.

python -m benchmarks.alert_rates [--source DIR|synthetic] [--windows 400] [--rows 1000] [--references 8]
                                 [--repeats 10] [--seed 0]

Streams hold each held-out row once before any comes again: drawn with replacement, they would drift for being few.
Raw: the verdict itself with the alert's `for`. Rule: as prometheus/rules/verdicts.yml has it.
Its rows are in random order, so it needs a taxi bundle split at random, of the same source:
python prepare.py --split random --source …
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from tqdm import tqdm

from benchmarks.estimated_performance import judge
from sextant.contracts.model_bundle import ModelBundle, load_bundle
from sextant.evaluation.drift.calibration import Calibration, calibrate
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.evaluate import Evaluation, evaluate
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import furthest
from sextant.infrastructure.settings import load_settings
from sextant.traffic.order import shuffled
from sextant.traffic.rows import HOLDOUT, replayed
from sextant.use_cases.use_case import SourceRequest, load_use_case

MODEL = "taxi"
STEPS = 20  # evaluations while the rows of a window are replaced once
SCRAPE = 5  # seconds between scrapes, and between evaluations of the rules
MINUTE = 60 // SCRAPE
PACES = {"1 minute": 60, "10 minutes": 600, "1 hour": 3_600, "6 hours": 21_600}
"""How long the rows of a window take to come, in seconds."""
WAITS = {"DatasetDrift": 45, "PerformanceDegraded": 600}
"""The `for` of each alert in the rules, in seconds."""
FACTORS = (1.2, 1.3, 1.5)
BEFORE, AFTER = 2, 16
"""Windows' worth of rows before and after the moment from which trip_distance is longer."""

ALERT = f"{'alert':<21}{'a window in':<12}"
RATES_HEAD = f"  {ALERT}{'watched':>13}{'raw':>7} {'a day (95 %)':<20}{'rule':>7} a day (95 %)"
DELAYS_HEAD = f"\n{'drift':<8}{ALERT}{'raw, in windows: median to longest':<40}rule, likewise"

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Positions = NDArray[np.intp]
Stream = Mapping[str, Floats]
"""For each alert its verdict at every evaluation, as a share of the threshold: it holds beyond 1."""

SHARES: Mapping[str, Callable[[Evaluation], float]] = {
    "DatasetDrift": lambda found: furthest(found.of("drift")) or 0.0,
    "PerformanceDegraded": lambda found: furthest(found.of("performance_degradation")) or 0.0,
}
"""The verdict behind each alert."""


@dataclass(frozen=True)
class Scrapes:
    """What Prometheus knows of one verdict at each evaluation of the rules, SCRAPE seconds apart."""

    times: Floats
    verdict: Bools
    share: Floats
    oldest: Floats
    """When the oldest row of the window came."""

    @classmethod
    def of(cls, shares: Floats, pace: int, every: int) -> Self:
        """Of evaluations that are STEPS to a window of `pace` seconds, made each `every` seconds at most."""
        times = np.arange(0, (len(shares) - 1) * pace // STEPS + 1, SCRAPE)
        held = shares[times // every * every * STEPS // pace]
        return cls(times.astype(np.float64), held > 1.0, held, (times - pace).astype(np.float64))


def certain(seen: Scrapes) -> Bools:
    """The verdict by verdicts.yml; its own series are read back over a closed minute, so one value more."""
    majority = trailing_mean(seen.verdict.astype(np.float64), MINUTE) > 0.5
    twice = trailing_mean(seen.share, MINUTE + 1) >= 2.0
    since = np.maximum.accumulate(np.where(majority, seen.times[0], seen.times))
    begins = majority & (twice | (since < seen.oldest))
    return latest(begins) > latest(~majority)


def lasting(active: Bools, seconds: float) -> Bools:
    """When an alert with this `for` fires."""
    since = latest(~active) + 1
    return active & ((np.arange(len(active)) - since) * SCRAPE >= seconds)


def latest(flags: Bools) -> NDArray[np.intp]:
    """At each position that of the last True so far, -1 before any."""
    return np.maximum.accumulate(np.where(flags, np.arange(len(flags)), -1))


def trailing_mean(values: Floats, number: int) -> Floats:
    """The mean of the last so many values, of fewer at the beginning."""
    sums = np.convolve(values, np.ones(number))[: len(values)]
    return sums / np.minimum(np.arange(1, len(values) + 1), number)


def firing(alert: str, seen: Scrapes) -> dict[str, Bools]:
    """When the alert fires, raw and by the rule."""
    return {"raw": lasting(seen.verdict, WAITS[alert]), "rule": lasting(certain(seen), WAITS[alert])}


@dataclass(frozen=True)
class Judge:
    """A reference with its thresholds."""

    reference: Reference
    thresholds: Calibration

    @classmethod
    def of(cls, bundle: ModelBundle, folder: Path, rate: float) -> Self:
        """The bundle's own, without segments, which cost time and are not asked for here."""
        reference = Reference.prepare(bundle.manifest.model_copy(update={"segments": ()}), bundle.reference())
        cache = CalibrationCache(folder)
        return cls(reference, cache.columns(reference, bundle.reference_sha256, false_alarm_rate=rate))

    def shares(self, pool: pd.DataFrame, positions: Positions, rows: int) -> Stream:
        """Each verdict on a window that slides over the pool's rows at these positions, a step at a time."""
        found: dict[str, list[float]] = {alert: [] for alert in SHARES}
        starts = range(0, len(positions) - rows + 1, rows // STEPS)
        for start in tqdm(starts, leave=False, disable=None, unit="evaluation"):
            window = self.reference.conform(pool.iloc[positions[start : start + rows]].reset_index(drop=True))
            evaluation = evaluate(self.reference, window, self.thresholds)
            for alert, share in SHARES.items():
                found[alert].append(share(evaluation))
        return {alert: np.array(shares) for alert, shares in found.items()}


def redrawn(own: Judge, others: pd.DataFrame, number: int, seed: int) -> Iterator[tuple[Judge, pd.DataFrame]]:
    """References drawn anew, with the rows that are left for the stream: one draw alone may be a lucky one."""
    random, size = np.random.default_rng(seed), len(own.reference.frame)
    pool = pd.concat([own.reference.frame, others], ignore_index=True)[list(others.columns)]
    for _ in range(number):
        order = random.permutation(len(pool))
        reference = Reference.prepare(own.reference.manifest, pool.iloc[order[:size]].reset_index(drop=True))
        rate = own.thresholds.false_alarm_rate
        thresholds = calibrate(reference.values, reference.columns, false_alarm_rate=rate)
        yield Judge(reference, thresholds), pool.iloc[order[size:]]


def print_rates(name: str, streams: Sequence[Stream], every: int) -> None:
    """How wrong the verdicts were, and what the alerts made of it at each pace."""
    for alert in SHARES:
        shares = np.concatenate([stream[alert] for stream in streams])
        wrong = f"wrong in {np.mean(shares > 1.0):.1%} of {len(shares):,} evaluations"
        print(f"{name}: the verdict of {alert} is {wrong}, at most {shares.max():.2f} times the threshold")
        for pace, seconds in PACES.items():
            seen = [Scrapes.of(stream[alert], seconds, every) for stream in streams]
            days = sum(len(one.times) for one in seen) * SCRAPE / 86_400
            fired = [firing(alert, one) for one in seen]
            counts = [sum(times_fired(one[way]) for one in fired) for way in ("raw", "rule")]
            told = "".join(f"{count:>7} {a_day(count, days):<20}" for count in counts)
            print(f"  {alert:<21}{pace:<12}{days:>8.1f} days{told}", flush=True)


def times_fired(fires: Bools) -> int:
    """How many separate times."""
    return int(np.count_nonzero(np.diff(fires.astype(np.int8), prepend=0) == 1))


def a_day(count: int, days: float) -> str:
    """The rate with its 95 % interval, as if the alerts came independently."""
    low, high = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0, stats.chi2.ppf(0.975, 2 * count + 2) / 2
    return f"{count / days:.3g} ({low / days:.3g}-{high / days:.3g})"


def onset(undrifted: int, rows: int, random: np.random.Generator) -> Positions:
    """Positions of undrifted rows, from some moment on of drifted ones, which lie behind those in the pool."""
    positions = shuffled(undrifted, (BEFORE + AFTER) * rows, random)
    positions[BEFORE * rows :] += undrifted
    return positions


def print_delays(factor: float, streams: Sequence[Stream], every: int) -> None:
    """From the first longer distance until each alert, at each pace."""
    for alert in SHARES:
        for pace, seconds in PACES.items():
            fired = [firing(alert, Scrapes.of(stream[alert], seconds, every)) for stream in streams]
            told = "".join(f"{delays([one[way] for one in fired], seconds):<40}" for way in ("raw", "rule"))
            print(f"x {factor:<6}{alert:<21}{pace:<12}{told}", flush=True)


def delays(fired: Sequence[Bools], pace: int) -> str:
    """Median and longest delay of those that fired, in windows, the median in seconds, and how many never did."""
    began = (BEFORE - 1) * pace // SCRAPE
    waits = [float(np.flatnonzero(fires[began:])[0] * SCRAPE) for fires in fired if fires[began:].any()]
    missed = f"{len(fired) - len(waits)} of {len(fired)} never"
    if not waits:
        return missed
    middle = float(np.median(waits))
    told = f"{middle / pace:.2f} to {max(waits) / pace:.2f} ({middle:,.0f} s)"
    return told if len(waits) == len(fired) else f"{told}, {missed}"


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="synthetic")
    for name, default in {"windows": 400, "rows": 1_000, "references": 8, "repeats": 10, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def main() -> None:
    """Print false alerts of undrifted streams, then the delays of longer distances: median to longest."""
    settings, asked = load_settings(), options()
    case, bundle, rows = load_use_case(MODEL), load_bundle(settings.models_dir, MODEL), asked.rows
    random, every = np.random.default_rng(asked.seed), int(settings.evaluate_every)
    source = case.open_source(SourceRequest(asked.source, settings.data_dir / "raw"))
    holdout, predicted = replayed(case, source, HOLDOUT, bundle.manifest.time), judge(bundle)
    undrifted = predicted(holdout.features, holdout.target)
    own = Judge.of(bundle, settings.data_dir / "calibration", settings.false_alarm_rate)

    def stream(one: Judge, pool: pd.DataFrame, windows: int) -> Stream:
        return one.shares(pool, shuffled(len(pool), windows * rows, random), rows)

    print(f"{rows:,} rows in a window, rate {settings.false_alarm_rate}\n{RATES_HEAD}", flush=True)
    print_rates("the bundle's reference", [stream(own, undrifted, asked.windows)], every)
    if asked.references:
        references, each = redrawn(own, undrifted, asked.references, asked.seed), asked.windows // asked.references
        print_rates(f"{asked.references} references", [stream(*drawn, each) for drawn in references], every)
    print(DELAYS_HEAD)
    for factor in FACTORS:
        longer = holdout.features.assign(trip_distance=holdout.features["trip_distance"] * factor)
        pool = pd.concat([undrifted, predicted(longer, holdout.target)], ignore_index=True)
        drifting = [own.shares(pool, onset(len(undrifted), rows, random), rows) for _ in range(asked.repeats)]
        print_delays(factor, drifting, every)


if __name__ == "__main__":
    main()
