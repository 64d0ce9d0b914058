"""What is done to training images."""

from pydantic import Field

from striate.core.records import Flag, Record, Whole


class AugmentConfig(Record):
    """What is done to each training image, drawn anew each epoch."""

    flip: Flag = False
    """Mirror half of the images, left to right."""
    crop: Whole = Field(0, ge=0, le=1000)
    """Shift by up to so many pixels each way; black comes in at the edges."""
