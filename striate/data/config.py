"""What a study file may say about its data.

`source` is a place: it says where the images are, not what they are, and takes no part in the fingerprint.
What they are is the digest of the dataset that `load` gives back.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from striate.core.records import Number, Record, Whole, place

Positive = Annotated[Whole, Field(ge=1)]
Share = Annotated[Number, Field(gt=0, lt=1)]


class DataConfig(Record):
    """Which images, and how they are brought to one shape."""

    shorthand: ClassVar[str | None] = "source"

    source: str = place()  # digits, cifar10, or a path
    channels: Literal[1, 3] | None = None  # None: as the source has them; files of images are read as RGB
    size: Positive | None = None  # short side resized to it, then the central square
    limit: Positive | None = None  # a stratified subset of the training part; the test part stays whole
    validation: Share = 0.1  # of the training part
    broken: Literal["error", "skip"] = "error"
