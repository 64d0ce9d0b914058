"""What is done to training images, as data. `data.augment` draws the numbers; the names of the keys are its keywords."""

from typing import Any, Literal

from pydantic import Field, field_validator

from striate.core.records import Flag, Number, Record, Whole


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
