"""The settings of augmentation, as a study file gives them under `recipe.augment`."""

from typing import Any, Literal

from pydantic import Field, field_validator

from striate.core.errors import DataError
from striate.core.records import Flag, Number, Record, Whole

ShapeHWC = tuple[int, int, int]  # rows, columns, channels of an image

# Bounds that no sensible study reaches, so that a typing error is refused and nothing overflows.
MAX_PIXELS = 10_000  # longer than the side of any image that Pillow reads as a square
MAX_COLOR = 100  # beyond it every image is black, white or fully saturated
MAX_ALPHA = 1_000_000  # beyond it every share that is drawn is 0.5


class AugmentConfig(Record):
    """What is done to each training image, drawn again in each epoch. Kinds can be combined; 0 and false are off."""

    flip: Flag | Literal["alternate"] = False
    """Mirror half of the images, left to right; `alternate`: a random half in the first epoch, then each image in every second epoch."""
    crop: Whole = Field(0, ge=0, le=MAX_PIXELS)
    """Shift by up to so many pixels each way, fewer than the image has; black comes in at the edges."""
    rotate: Number = Field(0, ge=0, le=180)
    """Rotate by up to so many degrees each way; black outside."""
    scale: Number = Field(0, ge=0, lt=1)
    """Enlarge or shrink by up to this share: 0.1 for 0.9 to 1.1 times the size."""
    brightness: Number = Field(0, ge=0, le=MAX_COLOR)
    """Multiply with a factor between 1 - x (at least 0) and 1 + x, as torchvision's ColorJitter does."""
    contrast: Number = Field(0, ge=0, le=MAX_COLOR)
    """The same for the distance of each pixel from the image's mean gray."""
    saturation: Number = Field(0, ge=0, le=MAX_COLOR)
    """The same for the distance of each pixel from its own gray; no effect on gray images."""
    hue: Number = Field(0, ge=0, le=0.5)
    """Shift the hue by up to this share of its circle each way; no effect on gray images."""
    cutout: Whole = Field(0, ge=0, le=MAX_PIXELS)
    """The side in pixels of a black square; its center is any pixel, so near an edge less is covered."""
    erase: Number = Field(0, ge=0, le=1)
    """The probability of a box in one random color: 2 to 40 % of the area, height to width between 0.3 and 3.3."""
    mixup: Number = Field(0, ge=0, le=MAX_ALPHA)
    """Alpha of Beta(alpha, alpha), the share that an image keeps when it is blended with its partner, labels included."""
    cutmix: Number = Field(0, ge=0, le=MAX_ALPHA)
    """The same, but the partner's share is pasted in as a box; with mixup too, each image is mixed in one of the two ways, drawn evenly."""
    strength: Number = Field(0, ge=0, le=10)
    """Two random operations an image at this strength of 10, as in RandAugment; the list is below this table."""

    @field_validator("flip", mode="before")
    @classmethod
    def _check_flip(cls, value: Any) -> Any:
        if not isinstance(value, bool) and value != "alternate":
            raise ValueError(f"must be true, false or 'alternate', got {value!r}")
        return value


def check_fits(config: AugmentConfig, shape: ShapeHWC) -> None:
    """Check that these settings fit images of `shape`.

    Raises:
        DataError: if a cutout square is larger than the images, or a shift can leave nothing of them.
    """
    side = min(shape[:2])
    if config.crop >= side:
        rule = f"must be under {side}, the shorter side of these images"
        raise DataError(f"recipe.augment.crop: {rule}, got {config.crop}; use a smaller one")
    if config.cutout > side:
        rule = f"must be at most {side}, the shorter side of these images"
        raise DataError(f"recipe.augment.cutout: {rule}, got {config.cutout}; use a smaller one")
