"""Effects of crossed factors: planted ones are found, absent ones are not, and the numbers are those of an analysis of variance."""

import numpy as np
import pytest

from striate.verdicts import ArmResults, Design, Metric
from striate.verdicts.factorial import Factor, effects

NORM = Factor(name="norm", levels=("none", "batch"))
LR = Factor(name="lr", levels=("0.1", "0.01", "0.001"))
TIME = Metric(name="training time", scale="ratio", unit="s", lower_is_better=True, on_test_images=False)


def cells(shape, value, seeds=5, spread=0.1, seed=0, **more):
    """`value(cell)` with a common part for each seed, and noise of each run."""
    noise = np.random.default_rng(seed)
    common = noise.normal(0, 1, seeds)
    return {
        cell: ArmResults(
            arm=str(cell), values={s: value(cell) + common[s] + noise.normal(0, spread) for s in range(seeds)}, **more
        )
        for cell in np.ndindex(*shape)
    }


def by_name(found):
    return {("x".join(effect.factors), effect.levels): effect for effect in found}


def test_the_means_are_those_of_the_table():
    data = cells((2, 3), lambda cell: 80 + 2 * cell[0] + cell[1] + 3 * (cell == (1, 2)))
    found = by_name(effects([NORM, LR], data, Design()))
    table = np.array([[np.mean(list(data[a, b].values.values())) for b in range(3)] for a in range(2)])
    assert found["norm", ("batch",)].interval.mean == pytest.approx(table[1].mean() - table[0].mean())
    assert found["lr", ("0.001",)].interval.mean == pytest.approx(table[:, 2].mean() - table[:, 0].mean())
    interaction = table[1, 2] - table[1, 0] - table[0, 2] + table[0, 0]
    assert found["normxlr", ("batch", "0.001")].interval.mean == pytest.approx(interaction)
    assert len(found) == 1 + 2 + 2


def test_the_interval_of_an_interaction_is_that_of_the_difference_of_differences():
    from scipy import stats

    data = cells((2, 2), lambda cell: 80.0)
    (_, _, interaction) = effects([NORM, Factor(name="b", levels=("0", "1"))], data, Design(seeds=tuple(range(5))))
    values = [
        data[1, 1].values[s] - data[1, 0].values[s] - data[0, 1].values[s] + data[0, 0].values[s] for s in range(5)
    ]
    level = 1 - 0.04 / 3  # of three effects, one look of four fifths of 5 %
    low, high = stats.t.interval(level, 4, np.mean(values), stats.sem(values))
    assert (interaction.interval.low, interaction.interval.high) == pytest.approx((low, high), rel=0.02)


def test_planted_effects_are_found_and_absent_ones_are_not():
    data = cells((2, 3), lambda cell: 80 + 3 * cell[0] + 4 * (cell == (1, 2)), spread=0.05)
    found = by_name(effects([NORM, LR], data, Design(matters=0.5)))
    assert found["norm", ("batch",)].label == "clearly better"
    assert found["lr", ("0.01",)].label == "no difference that matters"
    assert found["normxlr", ("batch", "0.01")].label == "no difference that matters"
    assert found["normxlr", ("batch", "0.001")].label == "clearly better"
    assert "together they bring more than the sum" in found["normxlr", ("batch", "0.001")].sentence
    assert "neither changes the effect of the other" in found["normxlr", ("batch", "0.01")].sentence


def test_times_multiply():
    """Both factors cost a factor each, and nothing beyond it: no interaction of ratios, though seconds do not add up."""
    noise = np.random.default_rng(1)
    data = {
        cell: ArmResults(
            arm=str(cell),
            values={s: 10 * 3.0 ** cell[0] * 2.0 ** cell[1] * np.exp(noise.normal(0, 0.003)) for s in range(5)},
        )
        for cell in np.ndindex(2, 2)
    }
    main, _, interaction = effects([NORM, Factor(name="b", levels=("0", "1"))], data, Design(metric=TIME, matters=5))
    assert main.interval.mean == pytest.approx(200, rel=0.02)
    assert interaction.interval.mean == pytest.approx(0, abs=2)
    assert interaction.label == "no difference that matters"


def test_any_wrong_word_is_rare():
    """400 grids of 2x3 without any effect: one of five effects is called better or worse in at most 5 %."""
    wrong = 0
    for study in range(400):
        data = cells((2, 3), lambda cell: 80.0, seed=study)
        words = {effect.label for effect in effects([NORM, LR], data, Design())}
        wrong += bool(words & {"better", "worse", "clearly better", "clearly worse"})
    assert wrong <= 0.06 * 400


def test_a_seed_at_which_an_arm_did_not_train_is_left_out_of_its_effects():
    data = cells((2, 2), lambda cell: 80 + cell[0], seeds=4)
    broken = data[1, 1]
    data[1, 1] = ArmResults(arm="x", values={s: v for s, v in broken.values.items() if s}, failures={0: "diverged"})
    main, _, interaction = effects([NORM, Factor(name="b", levels=("0", "1"))], data, Design(seeds=(0, 1, 2, 3)))
    assert main.interval.n == interaction.interval.n == 3
    assert "diverged: seed 0" in main.sentence
