"""What a study file may say about its data.

`source` is a place: it says where the images are, not what they are, and takes no part in the fingerprint.
What they are is the digest of the dataset that `load` gives back.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from striate.core.records import Number, Record, Whole, location_field

Positive = Annotated[Whole, Field(ge=1)]
Share = Annotated[Number, Field(gt=0, lt=1)]


class DataConfig(Record):
    """Which images, and how they are brought to one shape."""

    shorthand: ClassVar[str | None] = "source"

    source: str = location_field()
    """`digits`, `cifar10`, or a path: a folder of images with a folder for each class, parquet files, an .npz file."""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for color; as the source has them when left out (files of images are read in color)."""
    size: Positive | None = None
    """Resize the short side to so many pixels and cut the central square."""
    limit: Positive | None = None
    """Train on so many images, drawn evenly from the classes; the test part stays whole."""
    validation: Share = 0.1
    """The share of the training part that is kept for validation, unless the source has a part for it."""
    broken: Literal["error", "skip"] = "error"
    """What to do with an image that cannot be read: stop, or leave it out and say so."""
