"""Our schedules against torch's, step by step."""

import pytest
import torch

from striate.recipes import ScheduleConfig, lr_factor, plateau_factor

EPOCHS, STEPS_AN_EPOCH = 7, 13
STEPS = EPOCHS * STEPS_AN_EPOCH


def torch_factors(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    factors = []
    for _ in range(STEPS):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return factors


CASES = {
    "cosine": (
        ScheduleConfig(name="cosine"),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS),
    ),
    "step": (
        ScheduleConfig(name="step", every=2, factor=0.3),
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2 * STEPS_AN_EPOCH, gamma=0.3),
    ),
    "multistep": (
        ScheduleConfig(name="multistep", at=[2, 5]),
        lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2 * STEPS_AN_EPOCH, 5 * STEPS_AN_EPOCH]),
    ),
    "linear": (
        ScheduleConfig(name="linear"),
        lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS),
    ),
    "warm-up, then cosine": (
        ScheduleConfig(name="cosine", warmup=20 / STEPS),
        lambda optimizer: torch.optim.lr_scheduler.SequentialLR(
            optimizer,
            [
                torch.optim.lr_scheduler.LinearLR(optimizer, 1 / 20, 1.0, 19),
                torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - 20),
            ],
            [20],
        ),
    ),
    "warm-up, then step": (
        ScheduleConfig(name="step", every=2, warmup=10 / STEPS),
        lambda optimizer: torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / 10, 1) * 0.1 ** (step // (2 * STEPS_AN_EPOCH))
        ),
    ),
    "one-cycle": (
        ScheduleConfig(name="one-cycle"),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, STEPS, cycle_momentum=False),
    ),
    "one-cycle with a longer warm-up": (
        ScheduleConfig(name="one-cycle", warmup=0.5),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 1.0, STEPS, pct_start=0.5, cycle_momentum=False
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_factors_are_torch_s(case):
    schedule, make = CASES[case]
    ours = [lr_factor(schedule, step, STEPS, EPOCHS) for step in range(STEPS)]
    assert ours == pytest.approx(torch_factors(make), abs=1e-12)


def test_constant_is_one():
    assert {lr_factor(ScheduleConfig(), step, STEPS, EPOCHS) for step in range(STEPS)} == {1.0}


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["constant", "cosine", "linear", "plateau", "one-cycle"])
def test_short_trainings_have_a_schedule_too(name, steps):
    factors = [lr_factor(ScheduleConfig(name=name), step, steps, 1) for step in range(steps)]
    assert all(0 <= value <= 1 for value in factors)
    assert max(factors) > 0.5


def test_a_learning_rate_beyond_all_numbers_is_infinite():
    """So that the training diverges and says so; a power of 10 with 400 zeros was an overflow."""
    for schedule in (
        ScheduleConfig(name="step", every=1, factor=10),
        ScheduleConfig(name="multistep", at=[*range(1, 401)], factor=10),
    ):
        assert lr_factor(schedule, 400, 500, 500) == float("inf")
        assert lr_factor(schedule, 3, 500, 500) == 1000


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("patience", [0, 1, 3])
def test_the_plateau_is_torch_s(patience):
    """On losses that fall, rest, rise and fall by next to nothing."""
    losses = [3.0, 2.0, 2.0, 2.1, 2.0, 1.99999, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.0, 1.2, 1.1, 1.1, 1.1, 1.1, 1.1]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience)
    schedule = ScheduleConfig(name="plateau", patience=patience, factor=0.5)
    falls = 0
    for epoch, loss in enumerate(losses, 1):
        theirs.step(loss)
        assert plateau_factor(schedule, losses[:epoch]) == pytest.approx(optimizer.param_groups[0]["lr"])
        falls += plateau_factor(schedule, losses[:epoch]) < plateau_factor(schedule, losses[: epoch - 1])
    assert falls >= 2


def test_only_the_plateau_depends_on_losses():
    assert plateau_factor(ScheduleConfig(name="cosine"), [1.0] * 50) == 1.0
    assert plateau_factor(ScheduleConfig(name="plateau"), []) == 1.0
