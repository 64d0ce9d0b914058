"""Runs that did not train, as an outcome of their own: diverged, stayed at chance, far from all others.

An accuracy of such a run says little about those that train, and one of them would hide everything in a standard deviation.
So accuracies are compared among the runs that trained, and failures are counted, with exact bounds of their rate.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from striate.verdicts.intervals import rate_bounds

# A run is at chance where it is not better at this level, and where there are enough images: so many that a network half
# of the way from chance to 100 % would be found better with 95 %.
CHANCE_ALPHA = 0.01
CHANCE_REACH, CHANCE_POWER = 0.5, 0.95
# Images that are not of the commonest class. A network that knows half of them is not missed on so many; it answers the
# commonest class for each of the fewest in 3 of 100 cases.
ENOUGH_OTHERS, FEWEST_OTHERS = 20, 5
OUTLIER = 5.0  # median absolute deviations, scaled to be a standard deviation for normal values; more for few values
FEWEST_FOR_OUTLIERS = 5


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How many of an arm's runs did not train, and between which rates that leaves us (95 %)."""

    arm: str
    kinds: Mapping[str, tuple[int, ...]]  # diverged, at chance: the seeds
    runs: int

    @property
    def count(self) -> int:
        return sum(map(len, self.kinds.values()))

    @property
    def rate(self) -> float:
        return self.count / self.runs

    @property
    def bounds(self) -> tuple[float, float]:
        return rate_bounds(self.count, self.runs)


def count_failures(arm: str, failures: Mapping[int, str], seeds: Sequence[int]) -> Failures:
    """Of the runs with `seeds`, those that `failures` names, by kind."""
    kinds: dict[str, tuple[int, ...]] = {}
    for seed in seeds:
        if seed in failures:
            kinds[failures[seed]] = (*kinds.get(failures[seed], ()), seed)
    return Failures(arm=arm, kinds=kinds, runs=len(seeds))


def difference_of_rates(first: Failures, second: Failures) -> float:
    """Two-sided p that both arms fail equally often (Fisher's exact test)."""
    total, failed = first.runs + second.runs, first.count + second.count

    def probability(k: int) -> float:
        return math.comb(first.runs, k) * math.comb(second.runs, failed - k) / math.comb(total, failed)

    possible = range(max(0, failed - second.runs), min(failed, first.runs) + 1)
    seen = probability(first.count)
    return min(1.0, math.fsum(p for k in possible if (p := probability(k)) <= seen * (1 + 1e-9)))


def is_at_chance(confusion: Sequence[Sequence[int]]) -> bool:
    """Whether a network tells classes apart no better than a guess. `confusion[i][j]` counts images of class i called j.

    Exact tests, and it is at chance if none finds anything on enough images. Accuracy against always answering the
    commonest class (binomial); each class against the rest (Fisher, all classes together): it counts as learned, too, where a
    rare class is found at the price of a common one. Of three images nothing can be said; enough images are also some of other
    classes than the commonest, and fewer of them where all answers are the same.
    """
    rows = [sum(row) for row in confusion]
    images, correct = sum(rows), sum(row[k] for k, row in enumerate(confusion))
    if not images:
        return False
    chance = max(rows) / images
    answers = [sum(column) for column in zip(*confusion, strict=True)]
    if max(answers) == images:
        return images - rows[answers.index(images)] >= FEWEST_OTHERS
    if binomial_tail(correct, images, chance) < CHANCE_ALPHA or _tells_a_class(confusion, rows, images):
        return False
    return images - max(rows) >= ENOUGH_OTHERS or are_enough(images, chance)


def is_accuracy_at_chance(correct: int, images: int, chance: float) -> bool:
    """As `is_at_chance`, where only the number of right answers is known."""
    return binomial_tail(correct, images, chance) >= CHANCE_ALPHA and are_enough(images, chance)


def are_enough(images: int, chance: float) -> bool:
    """Whether so many images would show that a network is half of the way from chance to 100 %."""
    better = chance + CHANCE_REACH * (1 - chance)
    # The fewest right answers that a guess would have given too rarely, by bisection.
    low, high = 0, images + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if binomial_tail(middle, images, chance) < CHANCE_ALPHA else (middle, high)
    return high <= images and binomial_tail(high, images, better) >= CHANCE_POWER


def binomial_tail(hits: int, trials: int, rate: float) -> float:
    """The probability of at least so many hits."""
    from scipy import special

    return 1.0 if hits <= 0 else float(special.betainc(hits, trials - hits + 1, rate))


def _tells_a_class(confusion: Sequence[Sequence[int]], rows: Sequence[int], images: int) -> bool:
    """Whether answers depend on the class, for any class: one-sided exact tests at CHANCE_ALPHA together."""
    columns = [sum(column) for column in zip(*confusion, strict=True)]
    p = [
        _hypergeometric_tail(row[k], images, rows[k], columns[k])
        for k, row in enumerate(confusion)
        if rows[k] and columns[k]
    ]
    return bool(p) and min(p) * len(p) < CHANCE_ALPHA


def _hypergeometric_tail(hits: int, images: int, of_class: int, called: int) -> float:
    """The probability that at least so many of the images called a class belong to it, if answers ignore the class."""
    logs = [math.lgamma(n + 1) for n in (of_class, images - of_class, called, images - called)]
    constant = math.fsum(logs) - math.lgamma(images + 1)

    def log_probability(k: int) -> float:
        cells = (k, of_class - k, called - k, images - of_class - called + k)
        return constant - math.fsum(math.lgamma(cell + 1) for cell in cells)

    possible = range(max(hits, of_class + called - images), min(of_class, called) + 1)
    return min(1.0, math.fsum(math.exp(log_probability(k)) for k in possible))


def outliers(values: Mapping[int, float], step: float = 0.0) -> tuple[int, ...]:
    """The seeds whose values lie far from the median; `step` is the least deviation.

    Far is OUTLIER deviations, and twice that for five values, whose median absolute deviation is uncertain: of normal values,
    1 to 3 % of all sets have one. Fewer than five values have no outliers.
    """
    if len(values) < FEWEST_FOR_OUTLIERS:
        return ()
    median = statistics.median(values.values())
    spread = 1.4826 * statistics.median(abs(value - median) for value in values.values())
    limit = OUTLIER * (1 + (4 / (len(values) - 1)) ** 2) * max(spread, step)
    return tuple(seed for seed, value in values.items() if abs(value - median) > limit)
