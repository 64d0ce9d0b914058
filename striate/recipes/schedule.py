"""How the learning rate moves, as data; `schedules` has the arithmetic."""

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
