"""How to train, as data.

The optimizer goes by torch's own name and arguments; torch itself checks them (`training.optimizers`),
so that what the installed torch has is what a study file may say.
"""

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from striate.core.records import Flag, Number, Record, Whole


class OptimizerConfig(Record):
    """`{name: SGD, lr: 0.1, momentum: 0.9, weight_decay: 5e-4}`: torch's class and its keyword arguments."""

    model_config = ConfigDict(extra="allow")
    shorthand: ClassVar[str] = "name"

    name: str = "Adam"
    lr: Number = Field(0.001, gt=0)

    @property
    def arguments(self) -> dict[str, Any]:
        """Every keyword argument for torch, lr among them."""
        return {"lr": self.lr, **(self.model_extra or {})}

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), **(self.model_extra or {})}


class ScheduleConfig(Record):
    """How the learning rate moves from the first step to the last.

    constant; cosine (from lr to 0); step (times `factor` after every `every` epochs); one-cycle (up from lr/25
    over the first `warmup` of the training, then down to lr/250,000; lr is the peak).
    """

    shorthand: ClassVar[str] = "name"

    name: Literal["constant", "cosine", "step", "one-cycle"] = "constant"
    every: Whole | None = Field(None, ge=1)
    factor: Number | None = Field(None, gt=0)
    warmup: Number | None = Field(None, gt=0, lt=1)

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


class AugmentConfig(Record):
    """What is done to each training image, drawn anew each epoch."""

    flip: Flag = False  # left to right, half of the images
    crop: Whole = Field(0, ge=0)  # shifted by up to so many pixels each way, black where nothing is


class Recipe(Record):
    """One way to train any network."""

    optimizer: OptimizerConfig = OptimizerConfig()
    epochs: Whole = Field(10, ge=1)
    batch_size: Whole = Field(128, ge=1)
    schedule: ScheduleConfig = ScheduleConfig()
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    augment: AugmentConfig = AugmentConfig()
    precision: Literal["auto", "float32", "bf16"] = "auto"

    @field_validator("augment", mode="before")
    @classmethod
    def _augment_words(cls, value: Any) -> Any:
        return {} if value == "none" else value
