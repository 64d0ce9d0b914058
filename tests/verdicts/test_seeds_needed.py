"""The promise of seeds: simulated, and kept."""

import numpy as np
import pytest
from scipy import stats

from striate.verdicts.looks import Schedule
from striate.verdicts.seeds_needed import promise
from striate.verdicts.verdict import label


def verdict_at(values: np.ndarray, schedule: Schedule) -> str:
    """With matters = 1, after all of `values`: what the planned looks and the sequence agree on."""
    counts = [*(n for n in schedule.looks if n <= len(values)), len(values)]
    ends = []
    for n in dict.fromkeys(counts):
        half = schedule.factor(n) * values[:n].std(ddof=1)
        ends.append((values[:n].mean() - half, values[:n].mean() + half))
    low, high = max(low for low, _ in ends), min(high for _, high in ends)
    return label(low, high, 1.0) if low <= values.mean() <= high else label(*ends[-1], 1.0)


@pytest.mark.parametrize(("looks", "n"), [((5,), 5), ((3, 5, 8, 12, 20), 5)])
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (0.5, 2.0)])
def test_the_certain_number_of_seeds_is_kept_in_nine_of_ten_studies(looks, n, mean, spread):
    rng = np.random.default_rng(0)
    schedule = Schedule(looks, 0.05)
    kept = []
    for _ in range(250):
        values = rng.normal(mean, spread, n)
        if verdict_at(values, schedule) != "undecided":
            continue
        promised = promise(list(values), 1.0, schedule, seeds=n)
        assert promised.likely <= promised.certain
        if promised.certain <= 5000:
            kept.append(
                verdict_at(np.append(values, rng.normal(mean, spread, promised.certain - n)), schedule) != "undecided"
            )
    assert np.mean(kept) > 0.9


def test_the_old_promise_would_be_found_broken():
    """The smallest n with a half width of `matters`, at the spread of the seeds so far: a verdict in a third of cases."""
    rng = np.random.default_rng(1)
    schedule = Schedule((3, *range(4, 60)), 0.05)
    kept = []
    for _ in range(300):
        values = rng.normal(0.7, 1.0, 5)
        spread = values.std(ddof=1)
        n = next(n for n in range(5, 1000) if stats.t.isf(0.025, n - 1) * spread / n**0.5 <= 1)
        more = np.append(values, rng.normal(0.7, 1.0, n - 5))
        half = stats.t.isf(0.025, n - 1) * more.std(ddof=1) / n**0.5
        kept.append(label(more.mean() - half, more.mean() + half, 1.0) != "undecided")
    assert np.mean(kept) < 0.6
    assert schedule.looks[0] == 3


def test_the_likely_number_is_likely():
    """Over means and spreads of all sizes, a verdict comes by it in about three of four studies."""
    rng = np.random.default_rng(2)
    schedule = Schedule((5,), 0.05)
    kept = []
    while len(kept) < 250:
        mean, spread = rng.uniform(-3, 3), rng.uniform(0.5, 2)
        values = rng.normal(mean, spread, 5)
        if verdict_at(values, schedule) == "undecided":
            likely = promise(list(values), 1.0, schedule, seeds=5).likely
            kept.append(verdict_at(np.append(values, rng.normal(mean, spread, likely - 5)), schedule) != "undecided")
    assert np.mean(kept) > 0.65


def test_the_next_planned_look_is_named_if_it_is_enough():
    values = [0.4, 0.5, 0.6, 0.45]
    planned = promise(values, 0.9, Schedule((4, 8, 16), 0.05), seeds=4)
    assert planned.certain in (8, 16)


def test_one_image_that_is_too_large_for_the_question_is_said():
    coarse = promise([0.0, 0.0, 0.0], 0.5, Schedule((3,), 0.05), seeds=3, step=1.0)
    assert coarse.is_step_too_large
    assert coarse.certain is None


def test_a_spread_beyond_all_bounds_has_no_number():
    assert promise([0.0, 1000.0, -1000.0], 0.001, Schedule((3,), 0.05), seeds=3).certain is None
