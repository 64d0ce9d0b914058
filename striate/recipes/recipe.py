"""How to train, as data: the whole of it in one record."""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from striate.core.config import suggest
from striate.core.records import Flag, Number, Record, Whole
from striate.recipes.augment import AugmentConfig
from striate.recipes.optimizer import OptimizerConfig
from striate.recipes.schedule import ScheduleConfig
from striate.recipes.stop import StopConfig
from striate.recipes.zoo import RECIPES


class Recipe(Record):
    """One way to train any network."""

    shorthand: ClassVar[str | None] = "base"

    base: str = ""
    """A named recipe to start from (`striate recipes`); what stands beside it is changed."""
    engine: Literal["torch", "numpy", "cupy"] = "torch"
    """What computes: torch, or the layers by hand (`striate.scratch`) on NumPy, or on CuPy with a GPU."""
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
