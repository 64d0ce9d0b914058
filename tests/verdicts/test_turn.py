"""The turn of a loss along an axis: a planted one is found, none is found where there is none."""

import numpy as np
import pytest

from striate.verdicts import ArmResults, Design, Metric
from striate.verdicts.turn import find_turn

LOSS = Design(matters=0.01, metric=Metric(name="validation loss", scale="plain", lower_is_better=True))


def arms(means, spread=0.01, seeds=5, seed=0):
    noise = np.random.default_rng(seed)
    common = noise.normal(0, 0.05, seeds)
    return [
        ArmResults(arm=str(i), values={s: mean + common[s] + noise.normal(0, spread) for s in range(seeds)})
        for i, mean in enumerate(means)
    ]


@pytest.mark.parametrize(
    ("means", "shape", "candidates"),
    [
        ([1.0, 0.6, 0.3, 0.6, 1.0], "turns", (2,)),
        ([1.0, 0.3, 0.3, 0.3, 1.0], "turns", (1, 2, 3)),
        ([1.0, 0.8, 0.6, 0.4], "falls to the end", (3,)),
        ([0.4, 0.6, 0.8], "rises from the start", (0,)),
        ([0.5, 0.5, 0.5], "undecided", (0, 1, 2)),
        ([1.0, 0.5, 0.5], "undecided", (1, 2)),
    ],
)
def test_the_shape_is_that_which_was_planted(means, shape, candidates):
    turn = find_turn(arms(means), LOSS)
    assert (turn.shape, turn.candidates) == (shape, candidates)


def test_the_lowest_arm_is_rarely_excluded():
    """150 axes of five sizes with losses close together: the truly lowest is among the candidates in 95 %."""
    means = [0.53, 0.51, 0.50, 0.505, 0.52]
    missed = sum(2 not in find_turn(arms(means, seed=seed), LOSS).candidates for seed in range(150))
    assert missed <= 0.05 * 150


def test_a_turn_is_rarely_seen_where_there_is_none():
    found = [find_turn(arms([0.5] * 5, seed=seed), LOSS).shape for seed in range(100)]
    assert found.count("undecided") >= 0.95 * 100


def test_two_seeds_are_too_few():
    turn = find_turn(arms([1.0, 0.3, 1.0], seeds=2), LOSS)
    assert turn.shape == "undecided"
    assert "needs 3 seeds or more" in turn.reason


def test_an_arm_without_a_run_that_trained_leaves_it_undecided():
    some = arms([1.0, 0.3, 1.0])
    some[2] = ArmResults(arm="2", values={}, failures=dict.fromkeys(range(5), "diverged"))
    turn = find_turn(some, LOSS)
    assert (turn.shape, turn.lowest) == ("undecided", 1)
