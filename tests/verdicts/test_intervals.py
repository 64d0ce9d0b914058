"""Intervals and counts against SciPy, against worked examples, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from striate.verdicts.intervals import (
    accuracy_margin,
    arm_interval,
    correlation,
    correlation_interval,
    interval,
    p_value,
    rate_bounds,
)


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


@pytest.mark.parametrize(("right", "images"), [(9000, 10_000), (359, 359), (0, 100), (153, 306)])
def test_the_margin_of_an_accuracy_is_scipy_s_wilson_interval(right, images):
    low, high = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert accuracy_margin(100 * right / images, images) == pytest.approx(50 * (high - low), rel=1e-5)


def test_an_interval_is_never_narrower_than_one_image():
    estimate = interval([0.8] * 5, step=0.28)
    assert (estimate.low, estimate.high) == pytest.approx((0.52, 1.08))


def test_equal_differences_in_steps_vary_as_rounded_numbers_do():
    """Two numbers rounded to whole images: the variance of rounding is a twelfth each."""
    rng = np.random.default_rng(7)
    exact = rng.normal(0, 2, (2, 200_000))
    rounding = (np.round(exact) - exact)[0] - (np.round(exact) - exact)[1]
    estimate = interval([2.0, 2.0, 2.0], 0.99, step=1.0)
    assert estimate.half == pytest.approx(stats.t.isf(0.005, 2) / 3**0.5 * rounding.std(), rel=0.01)


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


def test_p_and_the_interval_agree_where_one_image_is_the_least():
    """Five equal differences of an image each: the interval ends at 0, and p is the level of it."""
    values = [1.0] * 5
    assert interval(values, 0.95, step=1.0).low == 0.0
    assert p_value(values, step=1.0, confidence=0.95) == pytest.approx(0.05)
    assert p_value(values) == 0.0


@pytest.mark.parametrize(("hits", "trials"), [(0, 5), (2, 5), (5, 5), (1, 1), (37, 400)])
def test_the_bounds_of_a_rate_are_exact(hits, trials):
    from statsmodels.stats.proportion import proportion_confint

    one_sided = hits in (0, trials)
    low, high = proportion_confint(hits, trials, alpha=0.1 if one_sided else 0.05, method="beta")
    assert rate_bounds(hits, trials) == pytest.approx((low, high), abs=1e-9)
    if not one_sided:
        exact = stats.binomtest(hits, trials).proportion_ci(method="exact")
        assert rate_bounds(hits, trials) == pytest.approx(tuple(exact), abs=1e-9)


def test_none_of_five_excludes_only_rates_above_45_percent():
    assert rate_bounds(0, 5) == pytest.approx((0, 0.4507), abs=1e-4)


def test_a_correlation_and_its_interval_are_scipy_s():
    rng = np.random.default_rng(5)
    a = rng.normal(size=8)
    b = a + rng.normal(size=8)
    result = stats.pearsonr(a, b)
    assert correlation(list(a), list(b)) == pytest.approx(result.statistic)
    assert correlation_interval(result.statistic, 8) == pytest.approx(tuple(result.confidence_interval()), abs=1e-9)
    assert correlation_interval(0.5, 3) == (-1.0, 1.0)
    assert correlation([1.0, 1.0], [1.0, 2.0]) is None


@pytest.mark.parametrize(
    "accuracies", [[100.0] * 5, [0.0] * 3, [99.9, 100, 100, 100, 99.8], [0.1, 0, 0.2], [50.0, 98.0, 12.0]]
)
@pytest.mark.parametrize("images", [0, 80, 10_000])
def test_an_arm_s_interval_stays_between_0_and_100_and_has_a_width(accuracies, images):
    estimate = arm_interval(accuracies, images)
    assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 100
    assert estimate.high - estimate.low > 0


def test_an_arm_s_interval_is_the_t_interval_in_the_middle_of_the_scale():
    accuracies = [71.2, 70.8, 71.6, 71.1]
    estimate, student = arm_interval(accuracies, 10_000), interval(accuracies)
    assert (estimate.low, estimate.high) == pytest.approx((student.low, student.high), abs=0.01)


@pytest.mark.parametrize(("mean", "spread"), [(70, 2), (97, 1.5), (99.3, 0.4)])
def test_an_arm_s_interval_covers_its_mean(mean, spread):
    """Accuracies between 0 and 100 %: a beta distribution with this mean and standard deviation."""
    rng = np.random.default_rng(6)
    share = mean / 100
    total = share * (1 - share) / (spread / 100) ** 2 - 1
    values = 100 * rng.beta(share * total, (1 - share) * total, (2000, 5))
    estimates = [arm_interval(list(row), 10_000) for row in values]
    covered = np.mean([estimate.low <= mean <= estimate.high for estimate in estimates])
    assert 0.92 < covered < 0.985
