"""What a study file says about its images, and the dataset that `load` makes of it, with a sealed test part.

Images are uint8, N x H x W x C, and may be a read-only memory map. Their order is decided by the pixels, so two
datasets with one digest are equal array by array, wherever and in whatever format they are stored.
"""

from dataclasses import InitVar, dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from striate.core.errors import DataError
from striate.core.records import Number, Record, Whole, check_name, location_field

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

# Bounds that no sensible study reaches, so that a typing error is refused and nothing overflows.
MAX_IMAGES = 1_000_000_000
MAX_SIZE = 9_000  # Pillow reads no image of more than 89 million pixels
MAX_GROUP = 1_000  # characters of a regular expression


class DataConfig(Record):
    """Which images, and how they are brought to one shape.

    `source` says where the images are, not what they are, so it is no part of the fingerprint; the digest of the
    dataset is.
    """

    shorthand: ClassVar[str | None] = "source"

    source: str = location_field()
    """`digits`, `cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `kmnist`, `svhn`, `ants_bees`, `scenes`, or a path: a folder of images
    with a folder for each class, parquet files, an .npz file."""
    channels: Literal[1, 3] | None = None
    """1 for gray, 3 for color; as in the source when left out (image files are read in color)."""
    size: Annotated[Whole, Field(ge=1, le=MAX_SIZE)] | None = None
    """Resize the short side to so many pixels and crop the central square."""
    limit: Annotated[Whole, Field(ge=1, le=MAX_IMAGES)] | None = None
    """Train on so many images, drawn evenly from the classes; the test part stays whole."""
    validation: Annotated[Number, Field(gt=0, lt=1)] = 0.1
    """The share of the training part that is held out for validation, unless the source has a validation part."""
    broken: Literal["error", "skip"] = "error"
    """What to do with an image that cannot be read: stop, or skip it and say so."""
    group: str | None = None
    """Which images belong together and stay in one part, such as frames of a film: `folder` (the one below the class folder), a regular
    expression that is searched in their paths, a column of parquet files, arrays of an .npz file."""

    @field_validator("group")
    @classmethod
    def _check_group(cls, value: str | None) -> str | None:
        return value if value is None else check_name(value, "it", longest=MAX_GROUP)


@dataclass(frozen=True)
class Part:
    """Images and their labels, row by row."""

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(f"a part needs one label an image, got {len(self.images)} and {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """The parts of a source. `validation` is None if the source has no validation part."""

    name: str
    classes: tuple[str, ...]
    train: Part
    validation: Part | None
    test: InitVar[Part]
    digest: str
    """SHA-256 of shape, pixels, labels and class names of all parts, and of the groups of the train part."""
    notes: tuple[str, ...] = ()
    """Facts that a report should repeat."""
    copy_of: Labels | None = None
    """For each row of `train`, the first row with the same pixels; None: not known."""
    bits: int | None = None
    """How many of 16 bits a channel are used; None where the images have 8."""
    groups: Labels | None = None
    """For each row of `train`, the number of the group that no split divides, by first row; None: not asked for."""
    _test: Part = field(init=False, repr=False)

    def __post_init__(self, test: Part) -> None:
        # Under another name: `dataset.test` does not exist, so nobody reads it by habit.
        object.__setattr__(self, "_test", test)

    def open_test(self, reason: str) -> Part:
        """The test part. The caller records the reason beside what was measured with it.

        Raises:
            DataError: if the reason is empty.
        """
        if not reason.strip():
            raise DataError(f"the test part of '{self.name}': opening it needs a reason, got an empty one; give one")
        return self._test

    @property
    def test_size(self) -> int:
        """How many images the test part has; this does not open it."""
        return len(self._test)

    @property
    def class_sizes(self) -> Labels:
        """How many training images each class has."""
        return np.bincount(self.train.labels, minlength=len(self.classes))

    @property
    def height(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def width(self) -> int:
        return int(self.train.images.shape[2])

    @property
    def channels(self) -> int:
        return int(self.train.images.shape[3])
