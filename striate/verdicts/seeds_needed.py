"""How many seeds would end an "undecided": a promise, and how sure it is.

An interval narrower than `matters` cannot both contain 0 and extend beyond what matters, so a verdict is certain once the
half width is half of `matters`. What is not certain is the spread of the differences, known from a few seeds only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.verdicts.intervals import stepped_deviation
from striate.verdicts.looks import MOST_SEEDS, Schedule

# That the spread is not larger than the one that a promise assumes. So the promise is kept in nine of ten studies, for the mean
# that is hardest to judge too, which is half of `matters`.
SURE = 0.85
LIKELY = 0.75  # the probability of a verdict, over what mean and spread may be after the seeds so far


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What would decide a comparison. None: no practical number of seeds would."""

    certain: int | None  # seeds in all with which a verdict is certain, if the spread is at most `spread`
    spread: float  # standard deviation of the paired differences
    likely: int | None  # seeds in all with which a verdict comes with probability LIKELY
    step: float = 0.0  # one test image
    is_step_too_large: bool = False  # for any number of seeds to be certain to decide: more test images are needed


def promise(
    differences: Sequence[float], matters: float, schedule: Schedule, *, seeds: int, step: float = 0.0
) -> Promise:
    """For a comparison that is undecided with `seeds` seeds; `step` is one test image, in the unit of the differences."""
    from scipy import special

    n, mean = len(differences), math.fsum(differences) / len(differences)
    spread = stepped_deviation(differences, step)
    upper = spread * math.sqrt((n - 1) / special.chdtri(n - 1, SURE))
    is_step_too_large = step > matters / 2
    certain = None if is_step_too_large else schedule.seeds_for(matters / 2 / upper, seeds)
    futures = _Futures(mean, spread, n, matters, step, schedule)
    return Promise(
        certain=certain,
        spread=upper if certain is None else matters / 2 / schedule.factor(certain),
        likely=schedule.first_look(lambda seeds: futures.probability(seeds) >= LIKELY, seeds, certain or MOST_SEEDS),
        step=step,
        is_step_too_large=is_step_too_large,
    )


class _Futures:
    """Means and spreads that the differences may have in the long run, given those of the seeds so far (a flat prior)."""

    def __init__(self, mean: float, spread: float, n: int, matters: float, step: float, schedule: Schedule) -> None:
        from scipy import special

        self.seen, self.n, self.matters, self.step, self.schedule = mean, n, matters, step, schedule
        share = (np.arange(9) + 0.5) / 9
        sigma = spread * np.sqrt((n - 1) / special.chdtri(n - 1, share))
        mean_of = mean + special.ndtri((np.arange(15) + 0.5) / 15)[:, None] * sigma / math.sqrt(n)
        self.sigma, self.mean = np.broadcast_to(sigma, mean_of.shape), mean_of

    def probability(self, seeds: int) -> float:
        """Of a verdict with so many seeds in all."""
        from scipy import special

        new = max(seeds - self.n, 1)
        mean = (self.n * self.seen + new * self.mean) / (self.n + new)
        error = self.sigma * math.sqrt(new) / (self.n + new)
        half = np.maximum(self.step, self.schedule.factor(seeds) * self.sigma)

        def below(limit: np.ndarray) -> np.ndarray:
            return np.asarray(special.ndtr((limit - mean) / error))

        inner, outer = self.matters - half, half  # |mean| < inner: no difference; |mean| > outer: it excludes 0
        no_difference = np.where(inner > 0, below(inner) - below(-inner), 0)
        differs = 1 - below(outer) + below(-outer)
        both = np.where(inner > outer, below(inner) - below(outer) + below(-outer) - below(-inner), 0)
        return float((no_difference + differs - both).mean())
