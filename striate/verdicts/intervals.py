"""Arithmetic on accuracies: paired intervals, the seeds a decision needs.

Differences are paired by seed: two arms share the initial weights, batches and augmentation of a seed, and what they
share cancels.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its confidence interval, from `n` values; `confidence` is 0.95, say."""

    mean: float
    low: float
    high: float
    confidence: float
    n: int


def interval(values: Sequence[float], confidence: float = 1 - ALPHA, least: float = 0.0) -> Interval:
    """The t interval of the mean of at least two values (Student 1908).

    It extends at least `least` to each side. Accuracies come in steps of one image, so a few equal values do not mean that
    nothing varies.
    """
    n = len(values)
    mean = math.fsum(values) / n
    half = max(least, t_quantile(confidence, n - 1) * deviation(values) / math.sqrt(n))
    return Interval(mean=mean, low=mean - half, high=mean + half, confidence=confidence, n=n)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1)."""
    return statistics.stdev(values)


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p of the paired t test that the mean difference is 0."""
    from scipy import special

    n, spread = len(differences), deviation(differences)
    mean = math.fsum(differences) / n
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    t = abs(mean) / (spread / math.sqrt(n))
    return float(2 * special.stdtr(n - 1, -t))


def seeds_needed(
    differences: Sequence[float], matters: float, confidence: float = 1 - ALPHA, most: int = 1000
) -> int | None:
    """The smallest n for which t(n-1) s / sqrt(n) <= matters, with s from `differences`; None above `most`."""
    spread = deviation(differences)
    for n in range(2, most + 1):
        if t_quantile(confidence, n - 1) * spread / math.sqrt(n) <= matters:
            return n
    return None


def accuracy_margin(accuracy: float, images: int) -> float:
    """Half the width of the 95 % interval of one accuracy in percent, measured on `images` test images (Wilson 1927)."""
    share, z = accuracy / 100, 1.959964
    spread = math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    return 100 * z * spread / (1 + z**2 / images)


@lru_cache(maxsize=4096)
def t_quantile(confidence: float, freedom: int) -> float:
    """The t quantile with `confidence` between its negative and itself, for `freedom` degrees of freedom."""
    from scipy import special

    return float(special.stdtrit(freedom, 0.5 + confidence / 2))
