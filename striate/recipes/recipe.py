"""How to train, as data: one record with the optimizer and everything beside it.

Three of its settings are arithmetic that every engine shares: the weights of classes, the decay of the averaged weights
and the views of test time.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field, field_validator, model_validator

from striate.core.config import suggest
from striate.core.records import Flag, Number, Record, Whole
from striate.data.augment import AugmentConfig
from striate.data.dataset import MAX_IMAGES
from striate.recipes.schedule import MAX_EPOCHS, ScheduleConfig
from striate.recipes.stop import StopConfig
from striate.recipes.zoo import RECIPES

MAX_BATCH_SIZE = 1_000_000  # no memory holds more, so a larger number is a typing error


class OptimizerConfig(Record):
    """`{name: SGD, lr: 0.1, momentum: 0.9, weight_decay: 5e-4}`: torch's class and its keyword arguments.

    The engine asks torch to check the arguments, so what the installed torch accepts is what a study file may say.
    """

    model_config = ConfigDict(extra="allow")
    shorthand: ClassVar[str | None] = "name"

    name: str = "Adam"
    """The name of a class of `torch.optim`; its other arguments are given beside it."""
    lr: Number = Field(0.001, gt=0)
    """The learning rate; its peak, if a schedule changes it."""
    clip: Number | None = Field(None, gt=0)
    """Scale gradients down to this norm, over all weights together, where theirs is larger."""
    decays: Literal["all", "weights"] = "all"
    """What `weight_decay` applies to: `all` parameters, or `weights` only, without biases and the scales of norms."""

    @model_validator(mode="after")
    def _check_finite(self) -> "OptimizerConfig":
        for name, value in (self.model_extra or {}).items():
            if not _is_finite(value):
                raise ValueError(f"{name} must be finite, got {str(value)[:60]}")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of torch's class, lr included; `clip` and `decays` are Striate's own."""
        return {"lr": self.lr, **(self.model_extra or {})}


def _is_finite(value: Any) -> bool:
    """Whether every number of an argument, also inside a list, is finite as a float."""
    if isinstance(value, list | tuple):
        return all(_is_finite(item) for item in value)
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


class Recipe(Record):
    """One way to train any network."""

    shorthand: ClassVar[str | None] = "base"

    base: str = ""
    """A named recipe to start from (`striate recipes`); the keys beside it change it."""
    engine: Literal["torch", "numpy", "cupy"] = "torch"
    """What computes: torch, or the engine from scratch (`striate.engines.scratch`) on NumPy, or on CuPy with a GPU."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Torch's optimizer, by name or with its arguments."""
    epochs: Whole = Field(10, ge=1, le=MAX_EPOCHS)
    """Passes over the training images, at most."""
    stop: StopConfig = StopConfig()
    """What ends the training earlier; `none` for nothing."""
    batch_size: Whole = Field(128, ge=1, le=MAX_BATCH_SIZE)
    """Images in a step."""
    shuffle: Flag = True
    """Draw a new order of the training images for each epoch; false: the same order in every epoch."""
    schedule: ScheduleConfig = ScheduleConfig()
    """How the learning rate changes."""
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    """The share of the target that is spread over all classes."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: each class has the same share of the training loss, however many images it has, and the best epoch is the
    one with the highest balanced accuracy on validation."""
    augment: AugmentConfig = AugmentConfig()
    """What is done to training images, drawn again in each epoch; `none` for nothing."""
    ema: Number | None = Field(None, gt=0, lt=1)
    """Evaluate and keep the moving average of the weights, with this decay a step (0.999), in place of the weights themselves."""
    precise_norm: Whole | None = Field(None, ge=2, le=MAX_IMAGES)
    """Before each evaluation, measure the statistics of batch norm again on so many training images."""
    test_time: Literal["none", "flip", "flip+shift"] = "none"
    """At the end, average the outputs over views of each image: mirrored, and also shifted by a pixel."""
    precision: Literal["auto", "float32", "float32-direct", "bf16"] = "auto"
    """auto: bf16 activations where the hardware has units for them and, on a CPU, is faster with them; else float32. Weights are
    always float32.
    On a CPU float32 computes 3x3 convolutions of many channels by Winograd's algorithm; float32-direct does not."""

    @model_validator(mode="before")
    @classmethod
    def _from_base(cls, value: Any) -> Any:
        given = {"base": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or not given.get("base"):
            return given
        name, changes = str(given["base"]), {key: item for key, item in given.items() if key != "base"}
        if name not in RECIPES:
            raise ValueError(f"there is no recipe '{name}'; {suggest(name, RECIPES)}")
        written_out = {key: cls._write_out(key, item) for key, item in changes.items()}
        # The result has no `base`, so a named recipe and the same one written out have one fingerprint.
        return _merge(RECIPES[name].settings, written_out)

    @classmethod
    def _write_out(cls, key: str, value: Any) -> Any:
        """`optimizer: SGD` means `optimizer: {name: SGD}`, also where it changes a base."""
        field_type = cls.model_fields[key].annotation if key in cls.model_fields else None
        shorthand = field_type.shorthand if isinstance(field_type, type) and issubclass(field_type, Record) else None
        return {shorthand: value} if shorthand and isinstance(value, str) else value

    @field_validator("augment", "stop", mode="before")
    @classmethod
    def _read_none(cls, value: Any) -> Any:
        return {} if value == "none" else value


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `base`, key by key; a group with another `name` (another optimizer) is replaced as a whole."""
    merged = dict(base)
    for key, value in changes.items():
        before = merged.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and value.get("name") in (None, before.get("name")):
            merged[key] = _merge(before, value)
        else:
            merged[key] = value
    return merged


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """The weight of each class for `class_weights: balanced`: images / (classes x images of the class).

    So the mean weight of an image is 1. A class without images has weight 0.
    """
    return [sum(counts) / (len(counts) * count) if count else 0.0 for count in counts]


def ema_decay(decay: float, steps: int) -> float:
    """The decay of the averaged weights at step `steps`, from 1: the smaller of `decay` and (1 + t) / (10 + t).

    So the initial weights are forgotten in a short training too (TensorFlow's ExponentialMovingAverage).
    """
    return min(decay, (1 + steps) / (10 + steps))


class View(NamedTuple):
    """One view of an image at test time. A shift of 1 is one pixel down and right, of -1 one pixel up and left."""

    weight: float
    shift: int
    is_mirrored: bool


def views(test_time: str) -> list[View]:
    """The views that `Recipe.test_time` averages; their weights sum to 1."""
    shifts = {"none": [(1.0, 0)], "flip": [(1.0, 0)], "flip+shift": [(0.5, 0), (0.25, 1), (0.25, -1)]}[test_time]
    sides = (False,) if test_time == "none" else (False, True)
    return [View(weight / len(sides), shift, is_mirrored) for weight, shift in shifts for is_mirrored in sides]
