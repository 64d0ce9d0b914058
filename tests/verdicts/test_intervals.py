"""Intervals and counts against SciPy, against worked examples, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from striate.verdicts.intervals import accuracy_margin, interval, p_value, seeds_needed


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


@pytest.mark.parametrize("m", [3, 10])
def test_the_intervals_of_all_comparisons_hold_together(m):
    """All comparisons truly different: every interval covers its own difference, in 95 % of studies. Holm's did not."""
    rng = np.random.default_rng(3)
    studies, n = 4000, 5
    values = rng.normal(0, 1, (studies, m, n))
    halves = {"all": 1 - 0.05 / m, "planted": 0.95}
    half = {name: stats.t.ppf((1 + level) / 2, n - 1) for name, level in halves.items()}
    t = np.abs(values.mean(-1)) / (values.std(-1, ddof=1) / n**0.5)
    assert interval(list(values[0, 0]), halves["all"]).high == pytest.approx(
        values[0, 0].mean() + half["all"] * values[0, 0].std(ddof=1) / n**0.5
    )
    assert (t <= half["all"]).all(1).mean() > 0.943
    assert (t <= half["planted"]).all(1).mean() < 0.90
