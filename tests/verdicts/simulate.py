"""Simulated differences, judged by the room's own factors at once: NumPy arrays of (studies, seeds)."""

from collections.abc import Sequence

import numpy as np

from striate.verdicts.looks import Schedule


def intervals(differences: np.ndarray, counts: Sequence[int], schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the intervals of each study after each number of seeds in `counts`, (studies, counts)."""
    low, high = [], []
    for n in counts:
        mean, spread = differences[..., :n].mean(-1), differences[..., :n].std(-1, ddof=1)
        low.append(mean - schedule.factor(n) * spread)
        high.append(mean + schedule.factor(n) * spread)
    return np.stack(low, -1), np.stack(high, -1)


def agreed(low: np.ndarray, high: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the intervals up to each look agree on; the newest alone where its mean lies outside."""
    lowest, highest = np.maximum.accumulate(low, -1), np.minimum.accumulate(high, -1)
    is_inside = (lowest <= mean) & (mean <= highest)
    return np.where(is_inside, lowest, low), np.where(is_inside, highest, high)


def misses(low: np.ndarray, high: np.ndarray, truth: float = 0.0) -> np.ndarray:
    return (low > truth) | (high < truth)
