"""A dataset: images and labels by part, with the test part sealed.

Images are uint8, N x H x W x C, and may be a read-only memory map. Their order is decided by the pixels, so two
datasets with one digest are equal array by array, wherever and in whatever format they were kept.
"""

from dataclasses import InitVar, dataclass, field

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


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
    """What was loaded. `validation` is a part that the source itself set aside, else None."""

    name: str
    classes: tuple[str, ...]
    train: Part
    validation: Part | None
    test: InitVar[Part]
    digest: str  # SHA-256 of shape, pixels, labels and class names of all parts
    notes: tuple[str, ...] = ()  # facts that a report should repeat
    _test: Part = field(init=False, repr=False)

    def __post_init__(self, test: Part) -> None:
        # Kept under another name: `dataset.test` does not exist, so nobody looks at it by habit.
        object.__setattr__(self, "_test", test)

    def open_test(self, reason: str) -> Part:
        """The test part. The caller records the reason beside what was measured with it."""
        if not reason.strip():
            raise DataError(f"the test part of '{self.name}': opening it needs a reason, got an empty one; say why")
        return self._test

    @property
    def test_size(self) -> int:
        """How many images the test part has; this does not open it."""
        return len(self._test)

    @property
    def height(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def width(self) -> int:
        return int(self.train.images.shape[2])

    @property
    def channels(self) -> int:
        return int(self.train.images.shape[3])
