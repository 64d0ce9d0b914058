"""How a study may look at its results more than once, and still be wrong in at most alpha of all studies.

Planned looks share one part of alpha: each is tested at the same nominal level, found so that the probability of any wrong
interval among them is that part. What is left is for seeds that no plan foresaw: a confidence sequence, whose intervals
hold together at every number of seeds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from striate.verdicts.intervals import t_quantile

ALPHA = 0.05
FEWEST_SEEDS = 3
# Beyond so many seeds the exact level would take seconds; each look gets an equal part of alpha, which is stricter.
MOST_EXACT = 200
MOST_SEEDS = 100_000  # that are advised
# The ratio of the variance of the mixture over effects to that of a difference: where the sequence is narrowest.
MIXTURE = 10.0

_GRID, _NODES = 401, 48


class Shares(NamedTuple):
    """The parts of alpha for the planned looks, all together, and for the sequence."""

    planned: float
    later: float


def shares(looks: Sequence[int], alpha: float) -> Shares:
    """How alpha is divided.

    A study with one look is often continued, so a fifth is kept back. A plan of several looks is itself the way to
    continue; a fiftieth is enough, as the width of the sequence depends on the logarithm of its part only. Without a
    planned look all of it is for the sequence.
    """
    later = (alpha, alpha / 5, alpha / 50)[min(len(looks), 2)]
    return Shares(alpha - later, later)


def sequence_factor(n: int, alpha: float) -> float:
    """The half width at `n` values of a confidence sequence of level 1 - alpha, in units of their standard deviation.

    A scale-invariant normal mixture: Lai 1976, https://doi.org/10.1214/aos/1176343406, and Wang and Ramdas 2024,
    https://arxiv.org/abs/2310.03722. It is infinite at first.
    """
    limit = 1 + n * MIXTURE
    log_a = (math.log(limit) - 2 * math.log(alpha)) / n
    if n < 2 or log_a >= math.log(limit):
        return math.inf
    a = math.exp(log_a)
    return math.sqrt((n - 1) * (a - 1) / (1 - a / limit) / n)


def look_factor(n: int, level: float) -> float:
    """The half width of the t interval of `n` values at this nominal level, in units of their standard deviation."""
    return t_quantile(1 - level, n - 1) / math.sqrt(n)


@dataclass(frozen=True)
class Schedule:
    """The planned looks of one comparison, which may be wrong with probability `alpha`; all of them have three seeds or more."""

    looks: tuple[int, ...]
    alpha: float

    @property
    def level(self) -> float:
        """The nominal level of each planned look."""
        return nominal_level(self.looks, shares(self.looks, self.alpha).planned)

    @property
    def later(self) -> float:
        """The level of the sequence for seeds outside the plan."""
        return shares(self.looks, self.alpha).later

    def factor(self, n: int) -> float:
        """The half width with `n` seeds, in units of the standard deviation of their differences."""
        return look_factor(n, self.level) if n in self.looks else sequence_factor(n, self.later)

    def seeds_for(self, factor: float, after: int) -> int | None:
        """The first look with more than `after` seeds whose half width is at most `factor` standard deviations."""
        return self.first_look(lambda n: self.factor(n) <= factor, after)

    def first_look(self, is_enough: Callable[[int], bool], after: int, most: int = MOST_SEEDS) -> int | None:
        """The first look with more than `after` seeds at which `is_enough`: a planned one, then any number up to `most`.

        None beyond that. `is_enough` stays true once it is, among the numbers outside the plan.
        """
        for n in self.looks:
            if after < n <= most and is_enough(n):
                return n
        low = max((after, *self.looks))
        high = low + 1
        while high < most and not is_enough(high):
            low, high = high, min(2 * high, most)
        if high > most or not is_enough(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if is_enough(middle) else (middle, high)
        return high


@lru_cache(maxsize=256)
def nominal_level(looks: tuple[int, ...], alpha: float) -> float:
    """The level at which each look is tested, so that the intervals of all looks hold together with 1 - alpha.

    `looks` are numbers of seeds, each larger than the one before, the first of at least 3. The differences are
    independent and normal. For more than MOST_EXACT seeds it is alpha divided by the number of looks.
    """
    if len(looks) == 1:
        return alpha
    low, high = alpha / len(looks), alpha
    if looks[-1] > MOST_EXACT:
        return low
    from scipy import optimize

    exponent = optimize.brentq(
        lambda x: math.log(crossing_probability(looks, math.exp(x)) / alpha), math.log(low), math.log(high), xtol=1e-4
    )
    return float(math.exp(exponent))


def crossing_probability(looks: Sequence[int], level: float) -> float:
    """The probability that a t interval of this nominal level misses the truth at one of the looks or more.

    With S and Q the sum and the sum of squares of the first k differences (normal, mean 0), r = S / sqrt(Q) decides t at k,
    and r after one more difference is r cos(angle) + sin(angle). The angle is independent of all that came before, with a
    density proportional to cos(angle)^(k-1). So r is a Markov chain, and the probability of a crossing from r on is
    computed backwards from the last look, one difference at a time.
    """
    from scipy import special

    bounds = {n: _bound(n, level) for n in looks}
    last = looks[-1]
    spacing = np.sin(np.linspace(0, math.pi / 2, _GRID))  # denser where the bound is
    grid = bounds[last] * spacing
    crossing = np.zeros(_GRID)  # from r at `k` on, as long as r lies within the bound there
    for k in range(last - 1, looks[0] - 1, -1):
        end = bounds.get(k, min(math.sqrt(k), 8.0))  # beyond 8, r is out of reach
        before = end * spacing
        crossing = _step_back(before, k, grid, crossing, bounds.get(k + 1))
        grid = before
    # At the first look: over the quantiles of t within its bound.
    first = looks[0]
    nodes, weights = _quadrature(8 * _NODES)
    quantile = 0.5 + (1 - level) / 4 * (nodes + 1)
    r = _r_of_t(special.stdtrit(first - 1, quantile), first)
    within = (1 - level) / 2 * float(weights @ np.interp(r, grid, crossing))
    return level + within


@lru_cache
def _quadrature(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre, which take longer to find than to use."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights


def _bound(n: int, level: float) -> float:
    """|r| where the t interval of `n` values ends."""
    return float(_r_of_t(np.float64(t_quantile(1 - level, n - 1)), n))


def _r_of_t(t: np.ndarray | np.float64, n: int) -> np.ndarray:
    return np.asarray(t * np.sqrt(n / (n - 1 + t**2)))


def _step_back(r: np.ndarray, k: int, grid: np.ndarray, crossing: np.ndarray, bound: float | None) -> np.ndarray:
    """The probability of a crossing from each `r` after `k` differences, given that from `grid` after k + 1.

    `bound` is that of the look at k + 1; None where there is no look.
    """
    widest = math.pi / 2 if k < 3 else min(math.pi / 2, 9 / math.sqrt(k - 1))  # the density beyond is below 1e-17
    log_density = math.lgamma((k + 1) / 2) - math.lgamma(k / 2) - math.log(math.pi) / 2

    def density(angle: np.ndarray) -> np.ndarray:
        return np.exp(log_density) * np.cos(angle) ** (k - 1)

    if bound is None:
        pieces = [(np.full_like(r, -widest), np.full_like(r, widest))]
    else:
        # r cos(angle) + sin(angle) = size sin(angle + shift): within the bound in up to three intervals of the angle.
        shift, edge = np.arctan(r), np.arcsin(np.minimum(1, bound / np.sqrt(1 + r**2)))
        pieces = [(-edge - shift, edge - shift), (math.pi - edge - shift, np.full_like(r, widest))]
        pieces.append((np.full_like(r, -widest), edge - math.pi - shift))
    nodes, weights = _quadrature(_NODES)
    within = np.zeros_like(r)  # the probability of no crossing
    for low, high in pieces:
        low, high = np.clip(low, -widest, widest), np.clip(high, -widest, widest)
        half = np.maximum(high - low, 0) / 2
        angle = ((low + high) / 2)[:, None] + half[:, None] * nodes
        after = np.abs(r[:, None] * np.cos(angle) + np.sin(angle))
        within += half * ((1 - np.interp(after, grid, crossing)) * density(angle) @ weights)
    return 1 - within
