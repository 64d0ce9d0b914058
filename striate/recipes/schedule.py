"""How the learning rate moves, as data; `schedules` has the arithmetic.

A schedule is a function of progress (0 at the first step, towards 1) to a factor on the learning rate.

Plain arithmetic, so that every engine has the same one; the formulas are torch's own (`CosineAnnealingLR`, `StepLR`,
`MultiStepLR`, `LinearLR`, `ReduceLROnPlateau`, `OneCycleLR` with cosine annealing), and the tests compare them.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from striate.core.records import Number, Record, Whole

# What each schedule may be told; `warmup` goes with all of them.
ARGUMENTS = {
    "step": {"every", "factor"},
    "multistep": {"at", "factor"},
    "plateau": {"patience", "factor"},
}


class ScheduleConfig(Record):
    """How the learning rate moves from the first step to the last.

    constant; cosine and linear (from lr to 0); step (times `factor` after every `every` epochs); multistep (times
    `factor` after each epoch of `at`); plateau (times `factor` when the validation loss has not fallen for `patience`
    epochs); one-cycle (up from lr/25 over the first `warmup` of the training, then down to lr/250,000; lr is the peak).
    """

    shorthand: ClassVar[str | None] = "name"

    name: Literal["constant", "cosine", "linear", "step", "multistep", "plateau", "one-cycle"] = "constant"
    """Which of the seven."""
    every: Whole | None = Field(None, ge=1)
    """step: after how many epochs the rate falls."""
    at: tuple[Whole, ...] | None = None
    """multistep: the epochs after which the rate falls, `[60, 80]`."""
    patience: Whole | None = Field(None, ge=0)
    """plateau: epochs without a lower validation loss that are borne before the rate falls (10)."""
    factor: Number | None = Field(None, gt=0)
    """step, multistep, plateau: what the rate is multiplied with (0.1)."""
    warmup: Number | None = Field(None, gt=0, lt=1)
    """The share of the training that the rate climbs for, from 0 to lr: none, but for one-cycle (0.3)."""

    @model_validator(mode="after")
    def _own_arguments_only(self) -> "ScheduleConfig":
        allowed = ARGUMENTS.get(self.name, set())
        for field in ("every", "at", "patience", "factor"):
            if getattr(self, field) is not None and field not in allowed:
                raise ValueError(f"the schedule {self.name} has no '{field}'")
        if self.name == "step" and self.every is None:
            raise ValueError(
                "the schedule step needs 'every', a number of epochs: {name: step, every: 10, factor: 0.1}"
            )
        if self.name == "multistep" and not self.at:
            raise ValueError("the schedule multistep needs 'at', a list of epochs: {name: multistep, at: [60, 80]}")
        if self.at and (min(self.at) < 1 or list(self.at) != sorted(set(self.at))):
            raise ValueError(f"at must be different epochs from 1 up, in order, got {list(self.at)}")
        if self.name == "plateau" and (self.factor or 0) >= 1:
            raise ValueError(f"the factor of a plateau must be under 1, so that the rate falls, got {self.factor:g}")
        return self


# One-cycle's usual numbers (Smith and Topin, arXiv 1708.07120; torch's defaults).
START_DIVISOR = 25.0
END_DIVISOR = 25.0 * 1e4
WARMUP = 0.3
# Those of torch's StepLR and ReduceLROnPlateau.
STEP_FACTOR = 0.1
PATIENCE = 10
LEAST_FALL = 1e-4  # relative; a smaller fall of the loss is none


def factor(schedule: ScheduleConfig, step: int, steps: int, epochs: int) -> float:
    """What the learning rate is multiplied with at step `step` of `steps`, over `epochs` epochs.

    The plateau's own part is not in it: that follows from the losses (`plateau`).
    """
    if schedule.name == "one-cycle":
        return _one_cycle(step, steps, schedule.warmup or WARMUP)
    climb = round((schedule.warmup or 0.0) * steps)
    if step < climb:
        return (step + 1) / climb
    epoch = step * epochs // steps
    match schedule.name:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - climb) / (steps - climb)))
        case "linear":
            return 1 - (step - climb) / (steps - climb)
        case "step":
            return (schedule.factor or STEP_FACTOR) ** (epoch // (schedule.every or 1))
        case "multistep":
            return (schedule.factor or STEP_FACTOR) ** sum(epoch >= end for end in schedule.at or ())
    return 1.0


def plateau(schedule: ScheduleConfig, losses: Sequence[float]) -> float:
    """The factor after epochs with these validation losses; 1 for every schedule but plateau."""
    if schedule.name != "plateau":
        return 1.0
    patience = PATIENCE if schedule.patience is None else schedule.patience
    best, waited, falls = math.inf, 0, 0
    for loss in losses:
        waited = 0 if loss < best * (1 - LEAST_FALL) else waited + 1
        best = loss if waited == 0 else best
        if waited > patience:
            falls, waited = falls + 1, 0
    return (schedule.factor or STEP_FACTOR) ** falls


def _one_cycle(step: int, steps: int, warmup: float) -> float:
    top = max(warmup * steps - 1, 0.0)  # a training of few steps begins at the peak
    if step <= top and top > 0:
        return _cosine(1 / START_DIVISOR, 1.0, step / top)
    rest = steps - 1 - top
    return _cosine(1.0, 1 / END_DIVISOR, (step - top) / rest if rest > 0 else 0.0)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
