"""How the learning rate changes: a factor of it at each step, as settings and as arithmetic.

The formulas are torch's (`CosineAnnealingLR`, `StepLR`, `MultiStepLR`, `LinearLR`, `ReduceLROnPlateau`, `OneCycleLR`
with cosine annealing), in plain Python so that every engine has the same schedule. The tests compare them.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from striate.core.records import Number, Record, Whole

# Each epoch is a row of metrics that is kept in memory; no study needs more, and nothing overflows below it.
MAX_EPOCHS = 100_000

# The arguments of each schedule; all of them take `warmup`.
ARGUMENTS = {
    "step": {"every", "factor"},
    "multistep": {"at", "factor"},
    "plateau": {"patience", "factor"},
}

# The defaults of one-cycle (Smith and Topin, arXiv 1708.07120; torch's OneCycleLR).
START_DIVISOR = 25.0
END_DIVISOR = 25.0 * 1e4
WARMUP = 0.3
# Those of torch's StepLR and ReduceLROnPlateau.
STEP_FACTOR = 0.1
PATIENCE = 10
MIN_IMPROVEMENT = 1e-4  # relative; a smaller fall of the loss does not count


class ScheduleConfig(Record):
    """How the learning rate changes from the first step to the last.

    constant; cosine and linear (from lr to 0); step (times `factor` after every `every` epochs); multistep (times
    `factor` after each epoch of `at`); plateau (times `factor` when the validation loss has not fallen for `patience`
    epochs); one-cycle (up from lr/25 over the first `warmup` of the training, then down to lr/250,000; lr is the peak).
    """

    shorthand: ClassVar[str | None] = "name"

    name: Literal["constant", "cosine", "linear", "step", "multistep", "plateau", "one-cycle"] = "constant"
    """Which of the seven."""
    every: Whole | None = Field(None, ge=1, le=MAX_EPOCHS)
    """step: the learning rate falls after each so many epochs."""
    at: tuple[Whole, ...] | None = None
    """multistep: the epochs after which the learning rate falls, `[60, 80]`."""
    patience: Whole | None = Field(None, ge=0, le=MAX_EPOCHS)
    """plateau: epochs without a lower validation loss before the learning rate falls (10)."""
    factor: Number | None = Field(None, gt=0)
    """step, multistep, plateau: the learning rate is multiplied by this (0.1)."""
    warmup: Number | None = Field(None, gt=0, lt=1)
    """The share of the training in which the learning rate climbs from 0 to lr: none, but for one-cycle (0.3)."""

    @model_validator(mode="after")
    def _check_arguments(self) -> "ScheduleConfig":
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
        if self.at and (min(self.at) < 1 or max(self.at) > MAX_EPOCHS or list(self.at) != sorted(set(self.at))):
            raise ValueError(f"at must be different epochs from 1 to {MAX_EPOCHS}, in order, got {list(self.at)}")
        if self.name == "plateau" and self.factor is not None and self.factor >= 1:
            raise ValueError(
                f"the factor of a plateau must be under 1, so that the learning rate falls, got {self.factor:g}"
            )
        return self


def lr_factor(schedule: ScheduleConfig, step: int, steps: int, epochs: int) -> float:
    """What the learning rate is multiplied by at step `step` (from 0) of `steps`, over `epochs` epochs.

    A plateau's falls are not included: they follow from the losses (`plateau_factor`).
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
            return _power(schedule.factor or STEP_FACTOR, epoch // (schedule.every or 1))
        case "multistep":
            return _power(schedule.factor or STEP_FACTOR, sum(epoch >= end for end in schedule.at or ()))
    return 1.0


def plateau_factor(schedule: ScheduleConfig, losses: Sequence[float]) -> float:
    """The factor of a plateau after epochs with these validation losses; 1 for every other schedule."""
    if schedule.name != "plateau":
        return 1.0
    patience = PATIENCE if schedule.patience is None else schedule.patience
    best, waited, falls = math.inf, 0, 0
    for loss in losses:
        waited = 0 if loss < best * (1 - MIN_IMPROVEMENT) else waited + 1
        best = loss if waited == 0 else best
        if waited > patience:
            falls, waited = falls + 1, 0
    return (schedule.factor or STEP_FACTOR) ** falls


def _power(factor: float, exponent: int) -> float:
    try:
        return factor**exponent
    except OverflowError:
        return math.inf  # the training diverges and says so


def _one_cycle(step: int, steps: int, warmup: float) -> float:
    peak = max(warmup * steps - 1, 0.0)  # a training of few steps begins at the peak
    if step <= peak and peak > 0:
        return _anneal(1 / START_DIVISOR, 1.0, step / peak)
    rest = steps - 1 - peak
    return _anneal(1.0, 1 / END_DIVISOR, (step - peak) / rest if rest > 0 else 0.0)


def _anneal(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
