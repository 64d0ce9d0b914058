"""Intervals, levels and counts against SciPy, against worked examples, and by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from striate.studies.statistics import accuracy_margin, holm_levels, interval, p_value, seeds_needed


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_is_scipy_s(n, confidence):
    values = np.random.default_rng(n).normal(1, 2, n)
    estimate = interval(list(values), confidence)
    low, high = stats.t.interval(confidence, n - 1, values.mean(), stats.sem(values))
    assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_p_is_scipy_s_paired_test(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(1, 1, n), rng.normal(0, 1, n)
    assert p_value(list(a - b)) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-10)


def test_equal_differences_have_no_width():
    assert (interval([2.0, 2.0, 2.0]).low, interval([2.0, 2.0, 2.0]).high) == (2.0, 2.0)
    assert p_value([2.0, 2.0]) == 0.0
    assert p_value([0.0, 0.0]) == 1.0


def test_holm_on_a_worked_example():
    """p = .01 .04 .03 at alpha .05: .01 <= .05/3; .03 > .05/2 fails, and so does everything after it."""
    levels = holm_levels([0.01, 0.04, 0.03])
    assert levels == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2])
    assert [p <= level for p, level in zip([0.01, 0.04, 0.03], levels, strict=True)] == [True, False, False]
    assert holm_levels([]) == []
    assert holm_levels([0.2]) == [0.05]


def test_holm_rejects_what_the_adjusted_p_values_reject():
    """Against the textbook's other form: p adjusted = running maximum of (m - rank) p."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        p = rng.beta(0.3, 2, rng.integers(1, 7))
        order = np.argsort(p)
        adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
        expected = np.empty(len(p), bool)
        expected[order] = adjusted <= 0.05
        assert [bool(a <= b) for a, b in zip(p, holm_levels(list(p)), strict=True)] == expected.tolist()


def test_an_interval_at_holm_s_level_excludes_zero_exactly_when_holm_rejects():
    rng = np.random.default_rng(1)
    for _ in range(200):
        samples = [list(rng.normal(rng.choice([0, 1]), 1, 5)) for _ in range(4)]
        for values, level in zip(samples, holm_levels([p_value(values) for values in samples]), strict=True):
            estimate = interval(values, 1 - level)
            assert (estimate.low > 0 or estimate.high < 0) == (p_value(values) <= level)


def test_the_seeds_needed_are_the_smallest_that_do():
    values = [1.0, 2.0, 4.0, 0.0]
    needed = seeds_needed(values, 0.5)
    spread = np.std(values, ddof=1)
    halves = {n: stats.t.ppf(0.975, n - 1) * spread / n**0.5 for n in range(2, 100)}
    assert needed == min(n for n, half in halves.items() if half <= 0.5)
    assert seeds_needed([0.0, 1000.0, -1000.0], 0.001) is None


@pytest.mark.parametrize(("right", "images"), [(9000, 10_000), (359, 359), (0, 100), (153, 306)])
def test_the_margin_of_an_accuracy_is_scipy_s_wilson_interval(right, images):
    low, high = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert accuracy_margin(100 * right / images, images) == pytest.approx(50 * (high - low), rel=1e-5)


def test_an_interval_is_never_narrower_than_one_image():
    estimate = interval([0.8, 0.8, 0.8], least=0.28)
    assert (estimate.low, estimate.high) == pytest.approx((0.52, 1.08))


@pytest.mark.parametrize("effect", [0.0, 2.0])
def test_the_interval_covers_the_truth_as_often_as_it_says(effect):
    rng = np.random.default_rng(2)
    covered = [
        estimate.low <= effect <= estimate.high
        for estimate in (interval(list(rng.normal(effect, 1, 4))) for _ in range(4000))
    ]
    assert 0.94 < np.mean(covered) < 0.96


def test_a_planted_fault_in_the_levels_would_be_seen():
    """Uncorrected comparisons call too often: four at once with no effect, against Holm's."""
    rng = np.random.default_rng(3)
    calls = {"holm": 0, "none": 0}
    for _ in range(1500):
        p = [p_value(list(rng.normal(0, 1, 5))) for _ in range(4)]
        calls["holm"] += any(a <= b for a, b in zip(p, holm_levels(p), strict=True))
        calls["none"] += any(a <= 0.05 for a in p)
    assert calls["holm"] / 1500 < 0.065
    assert calls["none"] / 1500 > 0.15


def test_order_of_comparisons_does_not_matter():
    p = [0.001, 0.02, 0.04, 0.2]
    by_p = dict(zip(p, holm_levels(p), strict=True))
    for order in itertools.permutations(p):
        assert holm_levels(list(order)) == [by_p[value] for value in order]
