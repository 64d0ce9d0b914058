"""Our schedules against torch's, step by step."""

import pytest
import torch

from striate.recipes import ScheduleConfig, factor

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
    ours = [factor(schedule, step, STEPS, EPOCHS) for step in range(STEPS)]
    assert ours == pytest.approx(torch_factors(make), abs=1e-12)


def test_constant_is_one():
    assert {factor(ScheduleConfig(), step, STEPS, EPOCHS) for step in range(STEPS)} == {1.0}


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["constant", "cosine", "one-cycle"])
def test_short_trainings_have_a_schedule_too(name, steps):
    factors = [factor(ScheduleConfig(name=name), step, steps, 1) for step in range(steps)]
    assert all(0 <= value <= 1 for value in factors)
    assert max(factors) > 0.5
