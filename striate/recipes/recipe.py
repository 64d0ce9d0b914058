"""How to train, as data: the whole of it in one record.

The optimizer of a recipe, by torch's own name and arguments.

Torch itself checks them (`training.optimizers`), so that what the installed torch has is what a study file may say.

What is done to training images, as data. `data.augment` draws the numbers; the names of the keys are its keywords.
"""

import math
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from striate.core.config import suggest
from striate.core.records import Flag, Number, Record, Whole
from striate.recipes.schedule import ScheduleConfig
from striate.recipes.stop import StopConfig
from striate.recipes.zoo import RECIPES


class AugmentConfig(Record):
    """What is done to each training image, drawn anew each epoch. Kinds go together; 0 and false are off."""

    flip: Flag | Literal["alternate"] = False
    """Mirror half of the images, left to right; `alternate`: a random half in the first epoch, then each image in every second epoch."""
    crop: Whole = Field(0, ge=0, le=1000)
    """Shift by up to so many pixels each way, fewer than the image has; black comes in at the edges."""
    rotate: Number = Field(0, ge=0, le=180)
    """Turn by up to so many degrees each way; black outside."""
    scale: Number = Field(0, ge=0, lt=1)
    """Enlarge or shrink by up to this share: 0.1 for 0.9 to 1.1 times the size."""
    brightness: Number = Field(0, ge=0)
    """Multiply with a factor between 1 - x (at least 0) and 1 + x, as torchvision's ColorJitter does."""
    contrast: Number = Field(0, ge=0)
    """The same for the distance of each pixel from the image's mean gray."""
    saturation: Number = Field(0, ge=0)
    """The same for the distance of each pixel from its own gray; nothing in gray images."""
    hue: Number = Field(0, ge=0, le=0.5)
    """Turn the hue by up to this share of its circle each way; nothing in gray images."""
    cutout: Whole = Field(0, ge=0)
    """The side in pixels of a black square; its middle is any pixel, so near an edge less is covered."""
    erase: Number = Field(0, ge=0, le=1)
    """The probability of a box in one random color: 2 to 40 % of the area, height to width between 0.3 and 3.3."""
    mixup: Number = Field(0, ge=0)
    """Alpha of Beta(alpha, alpha), the share that an image keeps when it is blended with its partner, label and all."""
    cutmix: Number = Field(0, ge=0)
    """The same, but the partner's share is pasted in as a box; with mixup too, half of the images get one, half the other."""
    strength: Number = Field(0, ge=0, le=10)
    """Two random operations an image at this strength of 10, as in RandAugment; the list is below this table."""

    @field_validator("flip", mode="before")
    @classmethod
    def _flip_words(cls, value: Any) -> Any:
        if not isinstance(value, bool) and value != "alternate":
            raise ValueError(f"must be true, false or 'alternate', got {value!r}")
        return value


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


class Recipe(Record):
    """One way to train any network."""

    shorthand: ClassVar[str | None] = "base"

    base: str = ""
    """A named recipe to start from (`striate recipes`); what stands beside it is changed."""
    engine: Literal["torch", "numpy", "cupy"] = "torch"
    """What computes: torch, or the layers by hand (`striate.engines.scratch`) on NumPy, or on CuPy with a GPU."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Torch's optimizer, by name or with its arguments."""
    epochs: Whole = Field(10, ge=1)
    """Times that every training image is seen, at most."""
    stop: StopConfig = StopConfig()
    """What ends the training earlier."""
    batch_size: Whole = Field(128, ge=1)
    """Images in a step."""
    shuffle: Flag = True
    """Draw a new order of the training images for each epoch; false: the same order in every epoch."""
    schedule: ScheduleConfig = ScheduleConfig()
    """How the learning rate moves."""
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    """The share of the target that is spread over all classes."""
    augment: AugmentConfig = AugmentConfig()
    """What is done to training images, drawn anew each epoch; `none` for nothing."""
    ema: Number | None = Field(None, gt=0, lt=1)
    """Judge and keep the moving average of the weights, with this decay a step (0.999), in place of the weights themselves."""
    precise_norm: Whole | None = Field(None, ge=2)
    """Before each evaluation, measure the statistics of batch norm anew on so many training images."""
    test_time: Literal["none", "flip", "flip+shift"] = "none"
    """At the end, average the outputs over views of each image: mirrored, and also shifted by a pixel."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """auto: bf16 activations where the hardware has units for them, float32 elsewhere; weights are always float32."""

    @model_validator(mode="before")
    @classmethod
    def _from_base(cls, value: Any) -> Any:
        given = {"base": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or not given.get("base"):
            return given
        name, changes = str(given["base"]), {key: item for key, item in given.items() if key != "base"}
        if name not in RECIPES:
            raise ValueError(f"there is no recipe '{name}'; {suggest(name, RECIPES)}")
        long = {key: cls._long(key, item) for key, item in changes.items()}
        return _merged(RECIPES[name].settings, long)  # whole, and so without its `base`

    @classmethod
    def _long(cls, key: str, value: Any) -> Any:
        """`optimizer: SGD` means `optimizer: {name: SGD}` over a base too."""
        kind = cls.model_fields[key].annotation if key in cls.model_fields else None
        word = kind.shorthand if isinstance(kind, type) and issubclass(kind, Record) else None
        return {word: value} if word and isinstance(value, str) else value

    @field_validator("augment", mode="before")
    @classmethod
    def _augment_words(cls, value: Any) -> Any:
        return {} if value == "none" else value


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `base`, key by key; a group with another `name` (another optimizer) is replaced as a whole."""
    merged = dict(base)
    for key, value in changes.items():
        before = merged.get(key)
        is_other = (
            isinstance(value, dict)
            and isinstance(before, dict)
            and value.get("name", before.get("name")) != before.get("name")
        )
        if isinstance(value, dict) and isinstance(before, dict) and not is_other:
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return merged
