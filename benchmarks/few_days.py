"""What a stated rate means with so many days of reference, where days differ and rows of one day are alike.

python -m benchmarks.few_days [--days 3 7 14 21 28] [--references 1000] [--rate 0.01]

Scores of days are drawn, blocks are cut from them as for a bundle, and days that come later are judged.
"""

import argparse
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sextant.evaluation.nulls import BLOCKS, Collected

BLOCK = 0.4
"""Of a day: 1,000 of some 2,400 rows."""

LATER, SIZE = 200, 1_000

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
SCORES: Mapping[str, Draw] = {
    "growth of an error (normal)": lambda random, days: random.normal(size=days),
    "distance (half normal)": lambda random, days: np.abs(random.normal(size=days)),
    "distance with a tail (gamma, 2)": lambda random, days: random.gamma(2.0, size=days),
}


def blocks(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of evenly spread blocks: most lie within a day, the others across midnight."""
    starts = np.linspace(0.0, len(days) - 1.0, BLOCKS)
    first = starts.astype(int)
    second = np.minimum(first + 1, len(days) - 1)
    share = np.clip((starts - first - (1.0 - BLOCK)) / BLOCK, 0.0, 1.0)
    scores: NDArray[np.float64] = days[first] * (1.0 - share) + days[second] * share
    return scores


def false_alarms(draw: Draw, days: int, rate: float, references: int) -> float:
    """Share of later days beyond the threshold, over as many references."""
    random, beyond = np.random.default_rng(days), 0
    for _ in range(references):
        scores = blocks(draw(random, days)).tolist()
        null = Collected({SIZE: scores}, {SIZE: [SIZE] * len(scores)}, {SIZE: days / BLOCK}).null(days)
        beyond += int((draw(random, LATER) > null.threshold(SIZE, rate)).sum())
    return beyond / references / LATER


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, nargs="+", default=[3, 7, 14, 21, 28])
    parser.add_argument("--references", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=0.01)
    asked = parser.parse_args()
    print("| scores of days | " + " | ".join(f"{days} days" for days in asked.days) + " |")
    print("| --- |" + " --: |" * len(asked.days))
    for name, draw in SCORES.items():
        shares = [false_alarms(draw, days, asked.rate, asked.references) for days in asked.days]
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
