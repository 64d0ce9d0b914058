"""Training and validation, decided by the seed, and the mean and deviation that training may know.

Where the source set a validation part aside, that is the validation split and all of the train part is trained on.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data.dataset import Dataset, Images, Part
from striate.data.stratified import draw, quotas

Rows = NDArray[np.int64]
COUNTED = 1024  # images at once


@dataclass(frozen=True)
class Splits:
    """Sorted rows of `dataset.train`. `validation` is empty if the source set a validation part aside."""

    dataset: Dataset
    train: Rows
    validation: Rows

    def part(self, which: Literal["train", "validation"]) -> Part:
        """Images and labels of one split; copied, unless it is a whole part of the source."""
        whole = self.dataset.train
        if which == "validation" and self.dataset.validation is not None:
            return self.dataset.validation
        rows = self.train if which == "train" else self.validation
        return whole if len(rows) == len(whole) else Part(whole.images[rows], whole.labels[rows])

    def size(self, which: Literal["train", "validation"]) -> int:
        """How many images a split has; nothing is copied."""
        if which == "validation" and self.dataset.validation is not None:
            return len(self.dataset.validation)
        return len(self.train if which == "train" else self.validation)


def split(dataset: Dataset, validation: float, seed: int) -> Splits:
    """Set a share of every class aside for validation.

    Raises:
        DataError: if a class has too few images to be on both sides.
    """
    labels = dataset.train.labels
    everything = np.arange(len(labels))
    if dataset.validation is not None:
        return Splits(dataset, everything, everything[:0])
    counts = np.bincount(labels, minlength=len(dataset.classes))
    if counts.min() < 2:
        name, count = dataset.classes[int(counts.argmin())], counts.min()
        rule = f"class '{name}' of '{dataset.name}' has {count} training image{'' if count == 1 else 's'}"
        raise DataError(f"{rule}: training and validation need one each; add images or remove the class")
    quota = quotas(counts, round(validation * len(labels)), np.ones_like(counts), counts - 1)
    aside = draw(labels, quota, stream(seed, "split"))
    return Splits(dataset, np.setdiff1d(everything, aside), aside)


def mean_std(images: Images, rows: Rows | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel, in units of 0 to 1, over `rows` or all images.

    Sums are whole numbers, so the result is exact and the same whatever the order. A constant channel has deviation 1.
    """
    picked = np.arange(len(images)) if rows is None else rows
    if not len(picked):
        raise DataError("mean and deviation need at least one image, got none")
    sums, squares, count = _sums(images, picked)
    mean = np.array([total / (255 * count) for total in sums])
    # Python's whole numbers: n * sum(x^2) - sum(x)^2 of a large set is beyond 64 bits.
    spread = [count * square - total**2 for total, square in zip(sums, squares, strict=True)]
    return mean, np.array([1.0 if value == 0 else value**0.5 / (255 * count) for value in spread])


def _sums(images: Images, rows: Rows) -> tuple[list[int], list[int], int]:
    """By channel, the sums of values and of squares; and the number of pixels."""
    channels = images.shape[3]
    sums, squares = [0] * channels, [0] * channels
    for start in range(0, len(rows), COUNTED):
        pixels = images[rows[start : start + COUNTED]].reshape(-1, channels)
        for channel in range(channels):
            seen = np.bincount(pixels[:, channel], minlength=256).tolist()
            sums[channel] += sum(value * times for value, times in enumerate(seen))
            squares[channel] += sum(value * value * times for value, times in enumerate(seen))
    return sums, squares, len(rows) * images.shape[1] * images.shape[2]
