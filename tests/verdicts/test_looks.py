"""Repeated looks: the levels against the values of the plan and against simulation, and false alarms however a study grows."""

import math

import numpy as np
import pytest
from scipy import stats

from striate.verdicts.looks import (
    Schedule,
    crossing_probability,
    look_factor,
    nominal_level,
    sequence_factor,
    shares,
)
from tests.verdicts.simulate import agreed, intervals, misses

LOOKS = (3, 5, 8, 12, 20)


@pytest.mark.parametrize(("comparisons", "level"), [(1, 0.0128), (3, 0.0040), (10, 0.0011)])
def test_five_looks_share_alpha(comparisons, level):
    assert nominal_level(LOOKS, 0.05 / comparisons) == pytest.approx(level, rel=0.02)


def test_the_probability_of_a_crossing_is_that_of_simulated_looks():
    differences = np.random.default_rng(0).standard_normal((200_000, 20))
    p = np.stack([_p(differences[:, :n]) for n in LOOKS], 1).min(1)
    for level in (0.02, 0.0128, 0.004):
        simulated = (p <= level).mean()
        assert crossing_probability(LOOKS, level) == pytest.approx(simulated, abs=4 * (simulated / 200_000) ** 0.5)


def test_two_looks_against_an_integral_that_is_known():
    """With 3 and 4 seeds, r is uniform after the first look, so the probability is an integral over one angle."""
    level = 0.05
    rng = np.random.default_rng(1)
    r = rng.uniform(0, 1, 400_000) * math.sqrt(3)
    y = rng.standard_t(3, 400_000) / math.sqrt(3)
    after = (r + y) / np.sqrt(1 + y**2)
    bounds = [math.sqrt(n * t**2 / (n - 1 + t**2)) for n in (3, 4) for t in [stats.t.isf(level / 2, n - 1)]]
    simulated = ((r > bounds[0]) | (np.abs(after) > bounds[1])).mean()
    assert crossing_probability((3, 4), level) == pytest.approx(simulated, abs=0.002)


@pytest.mark.parametrize("looks", [(3, 4), (5, 10, 20, 30), (3, 40), tuple(range(3, 13))])
def test_the_levels_are_between_one_look_s_and_bonferroni_s(looks):
    level = nominal_level(looks, 0.05)
    assert 0.05 / len(looks) < level < 0.05
    assert crossing_probability(looks, level) == pytest.approx(0.05, rel=2e-3)


def test_one_look_is_the_plain_t_interval():
    assert nominal_level((5,), 0.04) == 0.04
    assert look_factor(5, 0.04) == pytest.approx(stats.t.isf(0.02, 4) / 5**0.5)


def test_very_long_plans_get_equal_parts():
    assert nominal_level((100, 1000), 0.05) == 0.025


@pytest.mark.parametrize("n", [5, 10, 20, 200])
def test_the_sequence_ends_where_the_mixture_of_likelihoods_does(n):
    """The likelihood ratio of t, averaged over effects, is 1 / alpha at the ends."""
    alpha, ratio = 0.05, 1 + 10 * n
    t2 = n * sequence_factor(n, alpha) ** 2
    likelihood = ratio**-0.5 * ((1 + t2 / (n - 1)) / (1 + t2 / (ratio * (n - 1)))) ** (n / 2)
    assert likelihood == pytest.approx(1 / alpha)


def test_the_sequence_is_infinite_at_first():
    assert sequence_factor(1, 0.05) == math.inf
    assert sequence_factor(2, 0.01) == math.inf
    assert sequence_factor(4, 0.01) < math.inf


def test_the_sequence_holds_at_every_number_of_seeds():
    """Looked at after every seed up to 200, it misses the truth in at most its level of studies."""
    differences = np.random.default_rng(2).standard_normal((4000, 200))
    n = np.arange(2, 201)
    sums, squares = differences.cumsum(1)[:, 1:], (differences**2).cumsum(1)[:, 1:]
    mean = sums / n
    spread = np.sqrt((squares - n * mean**2) / (n - 1))
    wrong = {
        level: (np.abs(mean) > np.array([sequence_factor(k, level) for k in n]) * spread).any(1).mean()
        for level in (0.05, 0.01)
    }
    assert wrong[0.05] <= 0.05
    assert wrong[0.01] <= 0.01
    planted = np.array([look_factor(k, 0.05) for k in n])
    assert (np.abs(mean) > planted * spread).any(1).mean() > 0.3


@pytest.mark.parametrize("comparisons", [1, 3])
@pytest.mark.parametrize(
    ("looks", "counts"),
    [
        ((5,), (5,)),
        ((5,), (5, 6, 7, 8, 10, 15, 20, 30)),  # grown without a plan, seed by seed
        (LOOKS, LOOKS),
        (LOOKS, (*LOOKS, 25, 30, 40)),  # and beyond the plan
    ],
)
def test_false_alarms_are_rare_however_a_study_grows(looks, counts, comparisons):
    """No difference: any comparison called better or worse at any look, in at most 5 % of studies (0.5 % for the chance here)."""
    rng = np.random.default_rng(3)
    differences = rng.standard_normal((12_000 // comparisons, comparisons, counts[-1]))
    schedule = Schedule(looks, 0.05 / comparisons)
    low, high = intervals(differences, counts, schedule)
    mean = np.stack([differences[..., :n].mean(-1) for n in counts], -1)
    wrong = misses(*agreed(low, high, mean)).any((-1, -2)).mean()
    assert wrong <= 0.055


def test_growing_without_a_correction_would_be_found():
    """The rule before: a new 95 % interval at each look, until a verdict."""
    differences = np.random.default_rng(4).standard_normal((4000, 20))
    p = np.stack([_p(differences[:, :n]) for n in LOOKS], 1)
    assert (p <= 0.05).any(1).mean() > 0.15


def test_a_share_is_kept_for_seeds_outside_the_plan():
    assert shares((5,), 0.05) == pytest.approx((0.04, 0.01))
    assert shares(LOOKS, 0.05) == pytest.approx((0.049, 0.001))
    assert shares((), 0.05) == (0.0, 0.05)
    for looks in ((), (5,), LOOKS):
        assert sum(shares(looks, 0.05)) == pytest.approx(0.05)


def test_a_schedule_finds_the_next_look_that_is_enough():
    schedule = Schedule((3, 5, 8), 0.05)
    assert schedule.seeds_for(schedule.factor(5), after=3) == 5
    assert schedule.seeds_for(schedule.factor(5), after=5) == 8
    later = schedule.seeds_for(0.1, after=8)
    assert schedule.factor(later) <= 0.1 < schedule.factor(later - 1)
    assert schedule.seeds_for(1e-9, after=8) is None


def _p(differences: np.ndarray) -> np.ndarray:
    n = differences.shape[1]
    t = np.abs(differences.mean(1)) / (differences.std(1, ddof=1) / n**0.5)
    return 2 * stats.t.sf(t, n - 1)
