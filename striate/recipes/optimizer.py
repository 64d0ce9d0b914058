"""The optimizer of a recipe, by torch's own name and arguments.

Torch itself checks them (`training.optimizers`), so that what the installed torch has is what a study file may say.
"""

import math
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from striate.core.records import Number, Record


class OptimizerConfig(Record):
    """`{name: SGD, lr: 0.1, momentum: 0.9, weight_decay: 5e-4}`: torch's class and its keyword arguments."""

    model_config = ConfigDict(extra="allow")
    shorthand: ClassVar[str | None] = "name"

    name: str = "Adam"
    """The name of a class of `torch.optim`; its other arguments stand beside it."""
    lr: Number = Field(0.001, gt=0)
    """The learning rate; the peak, where a schedule moves it."""
    clip: Number | None = Field(None, gt=0)
    """Gradients are scaled down to this norm, over all weights together, where theirs is larger."""
    decays: Literal["all", "weights"] = "all"
    """What `weight_decay` pulls on: every parameter, or `weights` alone, without biases and the scales of norms."""

    @model_validator(mode="after")
    def _finite(self) -> "OptimizerConfig":
        for name, value in (self.model_extra or {}).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, got {value}")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """Every keyword argument for torch, lr among them; `clip` and `decays` are ours."""
        return {"lr": self.lr, **(self.model_extra or {})}
