"""Arithmetic of intervals: means over seeds, accuracies between 0 and 100 %, rates, correlations.

Each is checked against SciPy or statsmodels, and by how often it covers the truth.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

ALPHA = 0.05
Z = 1.959963984540054  # the normal quantile with 95 % between -Z and Z


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its confidence interval, from `n` values; `confidence` is 0.95, say."""

    mean: float
    low: float
    high: float
    confidence: float
    n: int

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2


def interval(values: Sequence[float], confidence: float = 1 - ALPHA, step: float = 0.0) -> Interval:
    """The t interval of the mean of at least two values (Student 1908).

    `step` is the smallest difference that there is: one test image. The interval extends at least that much to each side.
    """
    n = len(values)
    return around(values, t_quantile(confidence, n - 1) / math.sqrt(n), confidence, step)


def around(values: Sequence[float], factor: float, confidence: float, step: float = 0.0) -> Interval:
    """The interval of the mean whose half width is `factor` standard deviations, and at least `step`."""
    mean = math.fsum(values) / len(values)
    spread = stepped_deviation(values, step)
    half = max(step, factor * spread) if spread or factor < math.inf else math.inf
    return Interval(mean=mean, low=mean - half, high=mean + half, confidence=confidence, n=len(values))


def stepped_deviation(values: Sequence[float], step: float) -> float:
    """The standard deviation of differences of two numbers that come in steps: with the variance of rounding both.

    A few differences may be equal by chance, which does not mean that nothing varies. On 60 test images, and at the strict
    levels of many comparisons, such chances made one study in twelve wrong.
    """
    return math.hypot(deviation(values), step / math.sqrt(6))


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1)."""
    return statistics.stdev(values)


def p_value(differences: Sequence[float], step: float = 0.0, confidence: float = 1 - ALPHA) -> float:
    """Two-sided p of the paired t test that the mean difference is 0.

    The standard error is at least that of an interval of `confidence` that extends one `step` to each side, so that p and the
    interval agree.
    """
    from scipy import special

    n = len(differences)
    mean = math.fsum(differences) / n
    error = max(stepped_deviation(differences, step) / math.sqrt(n), step / t_quantile(confidence, n - 1))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(n - 1, -abs(mean) / error))


def arm_interval(accuracies: Sequence[float], images: int = 0, confidence: float = 1 - ALPHA) -> Interval:
    """The interval of an arm's mean accuracy over seeds, in percent: within 0 to 100, and with a width at 100 too.

    Wilson's interval, of as many trials as would give a mean with the standard error that the seeds show, which is so large
    that the interval extends by one of the `images` of the test part. In the middle of the scale it is the t interval.
    """
    n = len(accuracies)
    mean, t = math.fsum(accuracies) / n, t_quantile(confidence, n - 1)
    images = images or 10_000
    error = max(deviation(accuracies) / 100 / math.sqrt(n), 1 / images / t)
    inner = (mean / 100 * images + 0.5) / (images + 1)  # not quite 0 or 1
    low, high = _wilson(mean / 100, inner * (1 - inner) / error**2, t)
    return Interval(mean=mean, low=100 * low, high=100 * high, confidence=confidence, n=n)


def accuracy_margin(accuracy: float, images: int) -> float:
    """Half the width of the 95 % interval of one accuracy in percent, measured on `images` test images (Wilson 1927)."""
    low, high = _wilson(accuracy / 100, images, Z)
    return 50 * (high - low)


def _wilson(share: float, trials: float, z: float) -> tuple[float, float]:
    weight = z**2 / trials
    center = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight) * math.sqrt(share * (1 - share) + weight / 4) / (1 + weight)
    return max(0.0, min(center - half, share)), min(1.0, max(center + half, share))


def rate_bounds(hits: int, trials: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Exact bounds of a rate (Clopper and Pearson 1934); where none or all are hits, the one bound has the whole of alpha."""
    from scipy import special

    tail = alpha if hits in (0, trials) else alpha / 2
    low = float(special.betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return low, high


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation; None where one of both does not vary."""
    try:
        return statistics.correlation(first, second)
    except statistics.StatisticsError:
        return None


def correlation_interval(r: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a correlation of `n` pairs (Fisher's z); from -1 to 1 for fewer than four."""
    if n < 4 or abs(r) >= 1:
        return (-1.0, 1.0) if n < 4 else (r, r)
    z, half = math.atanh(r), Z / math.sqrt(n - 3)
    return math.tanh(z - half), math.tanh(z + half)


@lru_cache(maxsize=4096)
def t_quantile(confidence: float, freedom: float) -> float:
    """The t quantile with `confidence` between its negative and itself, for `freedom` degrees of freedom."""
    from scipy import special

    return float(special.stdtrit(freedom, 0.5 + confidence / 2))
