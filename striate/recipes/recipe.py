"""How to train, as data.

The optimizer goes by torch's own name and arguments; torch itself checks them (`training.optimizers`),
so that what the installed torch has is what a study file may say.
"""

import math
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from striate.core.records import Number, Record, Whole
from striate.recipes.augment import AugmentConfig


class OptimizerConfig(Record):
    """`{name: SGD, lr: 0.1, momentum: 0.9, weight_decay: 5e-4}`: torch's class and its keyword arguments."""

    model_config = ConfigDict(extra="allow")
    shorthand: ClassVar[str | None] = "name"

    name: str = "Adam"
    """The name of a class of `torch.optim`; its other arguments stand beside it."""
    lr: Number = Field(0.001, gt=0)
    """The learning rate; the peak, where a schedule moves it."""

    @model_validator(mode="after")
    def _finite(self) -> "OptimizerConfig":
        for name, value in (self.model_extra or {}).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, got {value}")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """Every keyword argument for torch, lr among them."""
        return {"lr": self.lr, **(self.model_extra or {})}


class ScheduleConfig(Record):
    """How the learning rate moves from the first step to the last.

    constant; cosine (from lr to 0); step (times `factor` after every `every` epochs); one-cycle (up from lr/25
    over the first `warmup` of the training, then down to lr/250,000; lr is the peak).
    """

    shorthand: ClassVar[str | None] = "name"

    name: Literal["constant", "cosine", "step", "one-cycle"] = "constant"
    """Which of the four."""
    every: Whole | None = Field(None, ge=1)
    """step: after how many epochs the rate falls."""
    factor: Number | None = Field(None, gt=0)
    """step: what it is multiplied with (0.1)."""
    warmup: Number | None = Field(None, gt=0, lt=1)
    """one-cycle: the share of the training that the rate climbs for (0.3)."""

    @model_validator(mode="after")
    def _own_arguments_only(self) -> "ScheduleConfig":
        allowed = {"step": {"every", "factor"}, "one-cycle": {"warmup"}}.get(self.name, set())
        for field in ("every", "factor", "warmup"):
            if getattr(self, field) is not None and field not in allowed:
                raise ValueError(f"the schedule {self.name} has no '{field}'")
        if self.name == "step" and self.every is None:
            raise ValueError(
                "the schedule step needs 'every', a number of epochs: {name: step, every: 10, factor: 0.1}"
            )
        return self


class Recipe(Record):
    """One way to train any network."""

    optimizer: OptimizerConfig = OptimizerConfig()
    """Torch's optimizer, by name or with its arguments."""
    epochs: Whole = Field(10, ge=1)
    """Times that every training image is seen."""
    batch_size: Whole = Field(128, ge=1)
    """Images in a step."""
    schedule: ScheduleConfig = ScheduleConfig()
    """How the learning rate moves."""
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    """The share of the target that is spread over all classes."""
    augment: AugmentConfig = AugmentConfig()
    """What is done to training images, drawn anew each epoch; `none` for nothing."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """auto: bf16 activations where the hardware has units for them, float32 elsewhere; weights are always float32."""

    @field_validator("augment", mode="before")
    @classmethod
    def _augment_words(cls, value: Any) -> Any:
        return {} if value == "none" else value
