"""Arithmetic on accuracies: paired intervals, Holm's levels, the seeds a decision needs.

Numbers in, numbers out; no files and no words. Differences are paired by seed, because two arms with one
seed share their initial weights, batches and augmentation, and what they share cancels.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with the interval around it, and how sure the interval is (0.95)."""

    mean: float
    low: float
    high: float
    confidence: float
    n: int


def interval(values: Sequence[float], confidence: float = 1 - ALPHA, least: float = 0.0) -> Interval:
    """The t interval of a mean (Student 1908); needs two values.

    It reaches at least `least` to each side: accuracies come in steps of one image, so a few equal ones do not
    mean that nothing varies.
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


def holm_levels(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The alpha at which each comparison is judged (Holm 1979), in the order given.

    The smallest p is judged at alpha/m, the next at alpha/(m-1) and so on; from the first that fails, all
    later ones keep its level. So `p <= level` says what Holm's step-down says, and an interval of
    confidence 1 - level excludes 0 exactly when Holm rejects.
    """
    m = len(p_values)
    levels = [alpha] * m
    failed_at: float | None = None
    for rank, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        levels[index] = failed_at or alpha / (m - rank)
        if p_values[index] > levels[index]:
            failed_at = levels[index]
    return levels


def seeds_needed(
    differences: Sequence[float], matters: float, confidence: float = 1 - ALPHA, most: int = 1000
) -> int | None:
    """The smallest n for which t(n-1) s / sqrt(n) <= matters, with the spread seen so far; None above `most`."""
    spread = deviation(differences)
    for n in range(2, most + 1):
        if t_quantile(confidence, n - 1) * spread / math.sqrt(n) <= matters:
            return n
    return None


def accuracy_margin(accuracy: float, images: int) -> float:
    """Half the 95 % interval, in points, that `images` test images leave on one accuracy (Wilson 1927)."""
    share, z = accuracy / 100, 1.959964
    spread = math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    return 100 * z * spread / (1 + z**2 / images)


@lru_cache(maxsize=4096)
def t_quantile(confidence: float, freedom: int) -> float:
    """The two-sided t quantile."""
    from scipy import special

    return float(special.stdtrit(freedom, 0.5 + confidence / 2))
