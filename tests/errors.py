"""Errors of a model, drawn at random."""

import numpy as np


def heavy(random: np.random.Generator, rows: int) -> np.ndarray:
    """Absolute errors with a heavy tail."""
    return random.lognormal(0, 0.8, rows)


def rare(random: np.random.Generator, rows: int) -> np.ndarray:
    """A wrong class in five of 100 rows."""
    return (random.random(rows) < 0.05).astype(float)


def wrong(random: np.random.Generator, rows: int) -> np.ndarray:
    """A wrong class in ten of 100 rows."""
    return (random.random(rows) < 0.1).astype(float)
