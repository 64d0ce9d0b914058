"""Which training images are used when: stratified splits, the order of an epoch, its batches.

All of it is decided by the seed, the labels and the groups of images. If the source has a validation part, that is the
validation split and all of the train part is trained on.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data.dataset import Dataset, Images, Labels, Part
from striate.data.draw_groups import draw_groups, groups_of_classes

Rows = NDArray[np.int64]
Counts = NDArray[np.int64]
CHUNK = 1024  # images counted at once


@dataclass(frozen=True)
class Splits:
    """Sorted rows of `dataset.train`. `validation` is empty if the source has a validation part."""

    dataset: Dataset
    train: Rows
    validation: Rows

    def part(self, which: Literal["train", "validation"]) -> Part:
        """Images and labels of one split; copied, unless it is a whole part of the source."""
        if which == "validation" and self.dataset.validation is not None:
            return self.dataset.validation
        whole = self.dataset.train
        rows = self.train if which == "train" else self.validation
        return whole if len(rows) == len(whole) else Part(whole.images[rows], whole.labels[rows])

    def size(self, which: Literal["train", "validation"]) -> int:
        """How many images a split has; nothing is copied."""
        if which == "validation" and self.dataset.validation is not None:
            return len(self.dataset.validation)
        return len(self.train if which == "train" else self.validation)

    @property
    def validation_copies(self) -> int:
        """How many images of the drawn validation split are, pixel by pixel, also in the training split."""
        first = self.dataset.copy_of
        return 0 if first is None else int(np.isin(first[self.validation], first[self.train]).sum())


def split(dataset: Dataset, validation: float, seed: int) -> Splits:
    """Set the share `validation` of every class aside, at least one image of each; whole groups where the dataset has them.

    Raises:
        DataError: if a class has too few images, or groups, to be in both splits.
    """
    labels = dataset.train.labels
    rows = np.arange(len(labels))
    if dataset.validation is not None:
        return Splits(dataset, rows, rows[:0])
    counts = np.bincount(labels, minlength=len(dataset.classes))
    if counts.min() < 2:
        name, count = dataset.classes[int(counts.argmin())], counts.min()
        rule = f"class '{name}' of '{dataset.name}' has {count} training image{'' if count == 1 else 's'}"
        raise DataError(f"{rule}: training and validation need one each; add images or remove the class")
    quotas = class_quotas(counts, round(validation * len(labels)), np.ones_like(counts), counts - 1)
    if dataset.groups is None:
        held_out = draw_stratified(labels, quotas, stream(seed, "split"))
    else:
        held_out = _draw_groups(dataset, dataset.groups, quotas, seed)
    return Splits(dataset, np.setdiff1d(rows, held_out), held_out)


def _draw_groups(dataset: Dataset, groups: Rows, quotas: Counts, seed: int) -> Rows:
    rows = draw_groups(dataset.train.labels, groups, quotas, stream(seed, "split"))
    if rows is not None:
        return rows
    cure = "give the source a validation part, or smaller groups (data.group), or raise data.limit if it is set"
    count = groups_of_classes(dataset.train.labels, groups, len(dataset.classes))
    if count.min() < 2:
        rule = f"all training images of class '{dataset.classes[int(count.argmin())]}' of '{dataset.name}' are in one group"
        raise DataError(f"{rule}: training and validation need one each; {cure}")
    rule = f"{dataset.name}: no choice of whole groups has every class in training and validation"
    raise DataError(f"{rule}; {cure}")


def class_quotas(counts: Counts, total: int, minimum: Counts, maximum: Counts) -> Counts:
    """How many of each class make `total`, in proportion to `counts` and within `minimum` and `maximum`.

    The bounds come before the total. Webster's method: the k-th of n images has its turn at (k - 1/2) / n. So, unlike
    with largest remainders, no class gets fewer when the total grows.
    """
    labels = np.repeat(np.arange(len(counts)), counts)
    rank = np.concatenate([np.arange(count) for count in counts])
    turn = (rank + 0.5) / counts[labels]
    turn[rank < minimum[labels]] = 0
    turn[rank >= maximum[labels]] = 1
    first = np.argsort(turn, kind="stable")[: np.clip(total, minimum.sum(), maximum.sum())]
    return np.bincount(labels[first], minlength=len(counts))


def draw_stratified(labels: Labels, quotas: Counts, rng: np.random.Generator) -> Rows:
    """Sorted rows: `quotas[c]` of class c, drawn without replacement.

    Each class is shuffled once and the first of it are taken, so with equal generators the rows of smaller quotas are a
    subset of the rows of larger ones.
    """
    rows = [rng.permutation(np.flatnonzero(labels == label))[:quota] for label, quota in enumerate(quotas)]
    return np.sort(np.concatenate(rows))


def epoch_order(seed: int, epoch: int, count: int, *, shuffle: bool = True) -> Rows:
    """The order of `count` training images in one epoch: a permutation, or 0, 1, 2, ... without `shuffle`."""
    if not shuffle:
        return np.arange(count)
    return stream(seed, "order", epoch).permutation(count)


def batch_slices(count: int, batch_size: int) -> list[slice]:
    """The batches of an epoch of `count` images, as slices of its order.

    A single image left over joins the batch before it: batch norm has no variance of one image.
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], count], strict=True)]


def mean_std(images: Images, rows: Rows | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel over `rows` (default: all images), with pixels scaled to 0 to 1.

    Sums are integers, so the result is exact and does not depend on the order. A constant channel has deviation 1.

    Raises:
        DataError: if there is no image.
    """
    selected = np.arange(len(images)) if rows is None else rows
    if not len(selected):
        raise DataError("mean and deviation need at least one image, got none")
    sums, squares, count = _sums(images, selected)
    mean = np.array([total / (255 * count) for total in sums])
    # Python's integers: n * sum(x^2) - sum(x)^2 of a large set is beyond 64 bits.
    spread = [count * square - total**2 for total, square in zip(sums, squares, strict=True)]
    return mean, np.array([1.0 if value == 0 else value**0.5 / (255 * count) for value in spread])


def _sums(images: Images, rows: Rows) -> tuple[list[int], list[int], int]:
    """By channel, the sums of values and of squares; and the number of pixels."""
    channels = images.shape[3]
    sums, squares = [0] * channels, [0] * channels
    for start in range(0, len(rows), CHUNK):
        pixels = images[rows[start : start + CHUNK]].reshape(-1, channels)
        for channel in range(channels):
            histogram = np.bincount(pixels[:, channel], minlength=256).tolist()
            sums[channel] += sum(value * times for value, times in enumerate(histogram))
            squares[channel] += sum(value * value * times for value, times in enumerate(histogram))
    return sums, squares, len(rows) * images.shape[1] * images.shape[2]
