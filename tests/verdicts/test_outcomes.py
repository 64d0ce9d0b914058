"""Runs that did not train: at chance by exact tests, rates of failing, outliers."""

import numpy as np
import pytest
from scipy import stats

from striate.verdicts import outcomes
from striate.verdicts.outcomes import (
    binomial_tail,
    count_failures,
    difference_of_rates,
    is_accuracy_at_chance,
    is_at_chance,
    outliers,
)


def guesses(labels, answers, classes: int) -> list[list[int]]:
    table = np.zeros((classes, classes), int)
    np.add.at(table, (labels, answers), 1)
    return table.tolist()


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_guess_and_always_the_same_answer_are_at_chance(classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 5000)
    assert is_at_chance(guesses(labels, rng.integers(0, classes, 5000), classes))
    assert is_at_chance(guesses(labels, np.zeros(5000, int), classes))


def test_a_guess_is_called_so_in_almost_all_of_many_runs():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, 1000)
    called = [is_at_chance(guesses(labels, rng.integers(0, 10, 1000), 10)) for _ in range(500)]
    assert np.mean(called) > 0.97


def test_16_percent_of_10_000_images_are_not_chance():
    assert not is_accuracy_at_chance(1600, 10_000, 0.1)
    assert is_accuracy_at_chance(1010, 10_000, 0.1)


@pytest.mark.parametrize("right", [0, 1, 2, 3])
def test_three_images_say_nothing(right):
    assert not is_accuracy_at_chance(right, 3, 2 / 3)


def test_a_perfect_network_on_few_images_learned_something():
    """100 % of a small part was once told that its labels may be shuffled."""
    labels = np.array([0] * 12 + [1] * 3)
    assert not is_at_chance(guesses(labels, labels, 2))


def test_a_rare_class_found_at_the_price_of_the_common_one_is_learned():
    """Accuracy is below the share of the commonest class, and yet the answers depend on the image."""
    labels = np.array([0] * 900 + [1] * 100)
    answers = np.where(labels == 1, np.arange(1000) % 5 != 0, np.arange(1000) % 5 == 0).astype(int)
    assert (labels == answers).mean() < 0.9
    assert not is_at_chance(guesses(labels, answers, 2))
    shuffled = np.random.default_rng(2).permutation(answers)
    assert is_at_chance(guesses(labels, shuffled, 2))


@pytest.mark.parametrize(
    ("images", "chance", "enough"), [(20, 0.1, True), (10, 0.1, False), (80, 0.5, True), (40, 0.5, False)]
)
def test_enough_images_are_those_that_would_show_it(images, chance, enough):
    assert outcomes.are_enough(images, chance) == enough
    critical = next(k for k in range(images + 2) if stats.binom.sf(k - 1, images, chance) < 0.01)
    assert (stats.binom.sf(critical - 1, images, chance + 0.5 * (1 - chance)) >= 0.95) == enough


@pytest.mark.parametrize(("others", "at_chance"), [(4, False), (5, True)])
def test_one_answer_for_all_images_is_a_guess(others, at_chance):
    labels = np.array([0] * 60 + [1] * others)
    assert is_at_chance(guesses(labels, np.zeros_like(labels), 2)) == at_chance
    assert not is_at_chance(guesses(np.zeros(60, int), np.zeros(60, int), 2))


def test_no_images_are_no_chance():
    assert not is_at_chance([[0, 0], [0, 0]])


def test_the_tails_are_scipy_s():
    assert binomial_tail(20, 100, 0.1) == pytest.approx(stats.binomtest(20, 100, 0.1, alternative="greater").pvalue)
    assert binomial_tail(0, 10, 0.5) == 1.0
    fisher = stats.fisher_exact([[30, 70], [20, 180]], alternative="greater").pvalue
    assert outcomes._hypergeometric_tail(30, 300, 100, 50) == pytest.approx(fisher)


@pytest.mark.parametrize(("a", "b", "runs"), [(5, 0, 5), (4, 1, 5), (0, 0, 3), (2, 7, 10)])
def test_the_difference_of_rates_is_fisher_s_exact_test(a, b, runs):
    first = count_failures("a", dict.fromkeys(range(a), "diverged"), range(runs))
    second = count_failures("b", dict.fromkeys(range(b), "diverged"), range(runs))
    expected = stats.fisher_exact([[a, runs - a], [b, runs - b]]).pvalue
    assert difference_of_rates(first, second) == pytest.approx(expected)


def test_failures_are_counted_by_kind_among_the_runs_that_ended():
    failures = count_failures("new", {1: "diverged", 3: "at chance", 9: "diverged"}, (0, 1, 2, 3))
    assert failures.kinds == {"diverged": (1,), "at chance": (3,)}
    assert (failures.count, failures.runs, failures.rate) == (2, 4, 0.5)


def test_one_run_far_from_the_others_is_an_outlier():
    assert outliers({0: 90.1, 1: 90.3, 2: 89.9, 3: 71.0, 4: 90.2}) == (3,)
    assert outliers({0: 90.1, 1: 90.3, 2: 71.0}) == ()
    assert outliers({0: 90.0, 1: 90.0, 2: 90.0, 3: 90.0, 4: 90.1}, step=0.1) == ()


@pytest.mark.parametrize("n", [5, 8, 20])
def test_normal_values_have_few_outliers(n):
    rng = np.random.default_rng(3)
    flagged = np.mean([bool(outliers(dict(enumerate(rng.normal(size=n))))) for _ in range(1500)])
    assert flagged < 0.05
