"""Errors of two models whose true difference is known."""

from collections.abc import Callable

import numpy as np

from batch_flows.compare_models.comparison import Errors

Draw = Callable[[np.random.Generator], tuple[Errors, Errors]]
DESIGNS = [("regression", True), ("regression", False), ("classification", True), ("classification", False)]
"""Tasks, and whether both models answered the same rows."""


def numbers(shift: float, rows: int = 200) -> Draw:
    """Absolute errors of two models on the same rows, heavy-tailed, with a hard row hard for both."""

    def draw(random: np.random.Generator) -> tuple[Errors, Errors]:
        hard = random.lognormal(0.0, 0.7, rows)
        noise_a, noise_b = np.abs(random.standard_t(4, (2, rows)))
        return hard * noise_a, hard * noise_b + shift

    return draw


def classes(only_a: float, only_b: float, rows: int = 300) -> Draw:
    """Wrong classes: each side alone with these chances, and both together in one row of ten."""

    def draw(random: np.random.Generator) -> tuple[Errors, Errors]:
        kind = random.choice(4, rows, p=[0.9 - only_a - only_b, only_a, only_b, 0.1])
        return np.isin(kind, (1, 3)).astype(float), np.isin(kind, (2, 3)).astype(float)

    return draw
