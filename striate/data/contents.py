"""What a source provides before an image is decoded, and the checks of its labels and classes.

A `Source` is found without reading it; its `Contents` have classes and labels, and images that may still be encoded.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.records import check_name, printable
from striate.data.canonical_order import HashedPart
from striate.data.dataset import Images, Labels
from striate.data.groups import group_numbers

CHUNK = 1024  # images looked at together
LONGEST_CLASS_NAME = 200  # ImageNet's dragonfly, with all its names, has 118


class EncodedImage(NamedTuple):
    """An image file, as a path or as bytes."""

    name: str  # for errors and notes
    data: Path | bytes


@dataclass(frozen=True)
class EncodedPart:
    """Images still encoded, in the order of their labels."""

    labels: Labels
    images: Callable[[], Iterator[EncodedImage]]
    groups: Labels | None = None


@dataclass(frozen=True)
class ArrayPart:
    """Images that the source holds as one array, N x H x W x C."""

    labels: Labels
    images: Images
    groups: Labels | None = None


SourcePart = EncodedPart | ArrayPart


@dataclass(frozen=True)
class Contents:
    """The parts of a source: train, validation (if it has one) and test (if it has one)."""

    location: str  # for errors
    classes: tuple[str, ...]
    parts: Mapping[str, SourcePart]
    notes: tuple[str, ...] = ()
    is_checked: bool = False  # by the checksums of a dataset that goes by a name
    keeps_order: bool = False  # that of the author's files


@dataclass(frozen=True)
class DecodedDataset:
    """The parts of a dataset, before `limit` is applied."""

    classes: tuple[str, ...]
    parts: dict[str, HashedPart]
    notes: tuple[str, ...]
    is_cifar10: bool
    bits: int | None = None  # used of the 16 bits of a channel; None where the images have 8


def with_groups(contents: Contents, names: Mapping[str, Sequence[str]]) -> Contents:
    """The contents with the group of each image, by part; an empty name: no group but its own."""
    numbers = group_numbers(names)
    parts = {name: replace(part, groups=numbers[name]) for name, part in contents.parts.items()}
    return replace(contents, parts=parts)


def _is_current(_decoded: DecodedDataset) -> bool:
    return False


@dataclass(frozen=True)
class Source:
    """A source that exists. Its contents change only when one of `files` changes; without files, never."""

    name: str
    location: str  # for errors
    files: tuple[Path, ...]
    read: Callable[[], Contents]
    must_be_cifar10: bool = False
    notes: tuple[str, ...] = ()  # what was found beside the files
    reading: str = ""  # a layout that an older version read otherwise
    is_outdated: Callable[[DecodedDataset], bool] = _is_current
    """Whether what an older version decoded from the same files may differ from what this one decodes."""
    read_groups: Callable[[str], Contents] | None = None
    """As `read`, with the group of each image as `data.group` says it; None if images have nothing to tell it by."""

    def contents(self, group: str | None) -> Contents:
        """The contents, with the groups of images if they are asked for.

        Raises:
            DataError: for groups that this source does not have.
        """
        if group is None:
            return self.read()
        if self.read_groups is None:
            rule = f"data.group: the images of {self.location} have no names or columns that could say their group"
            raise DataError(f"{rule}, got '{printable(group, keep='')}'; leave it out")
        return self.read_groups(group)


def looks_too_dark(decoded: DecodedDataset) -> bool:
    """Whether older versions may have decoded 16 bits of which few are used: no pixel of the dataset is bright."""
    darkest = 64  # 14 of 16 bits
    chunks = (part.images[i : i + CHUNK] for part in decoded.parts.values() for i in range(0, len(part.labels), CHUNK))
    return not any(chunk.max(initial=0) >= darkest for chunk in chunks)


def check_contents(contents: Contents) -> None:
    """Check that there are two classes or more, each with its own name, and that the labels of every part fit them.

    Raises:
        DataError: for the first rule that is broken.
    """
    location, classes = contents.location, contents.classes
    if len(classes) < 2:
        count = f"only '{classes[0]}'" if classes else "none"
        rule = f"{location}: a classifier needs at least 2 classes, got {count}"
        raise DataError(f"{rule}; give each class its own folder or label")
    for name in classes:
        check_class_name(location, name)
    if twice := [name for name, count in Counter(classes).items() if count > 1]:
        raise DataError(f"{location}: two classes are named '{twice[0]}'; give each its own name")
    labels = {name: part.labels for name, part in contents.parts.items()}
    for name, values in labels.items():
        if not len(values) and name != "train":
            raise DataError(f"{location}: the {name} part is empty; add images or remove it")
        wrong = values[(values < 0) | (values >= len(classes))]
        if len(wrong):
            rule = f"{location}, {name} part: labels must be 0 to {len(classes) - 1} for {len(classes)} classes"
            raise DataError(
                f"{rule}, got {wrong[0]} ({len(wrong)} out of range); number them from 0 or name all classes"
            )
    check_every_class(location, classes, labels)


def check_class_name(location: str, name: str) -> None:
    """Check that a class name can be shown in one line.

    Raises:
        DataError: if it is empty, too long or has control characters.
    """
    try:
        check_name(name, f"{location}: a class name", DataError, LONGEST_CLASS_NAME)
    except DataError as error:
        raise DataError(f"{error}; rename the class") from error


def check_every_class(location: str, classes: tuple[str, ...], labels: Mapping[str, Labels]) -> None:
    """Check that the train part has images of every class; also after broken images were skipped.

    Raises:
        DataError: for the first class without images.
    """
    if empty := absent_classes(classes, labels["train"]):
        rule = f"{location}: class '{empty[0]}' has no images in the train part"
        raise DataError(f"{rule}; add some or remove the class")


def absent_classes(classes: tuple[str, ...], labels: Labels) -> list[str]:
    """The classes without images."""
    return [classes[label] for label in np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)]


def to_labels(values: NDArray[Any]) -> Labels:
    """Whole numbers of any type as int64; what is too large for it becomes its largest number, and not a negative one."""
    if values.dtype == np.uint64:
        values = np.minimum(values, np.uint64(np.iinfo(np.int64).max))
    return values.astype(np.int64)


def numbered_classes(location: str, labels: Labels) -> tuple[str, ...]:
    """The class names 0, 1, 2, ... up to the largest label of the train part.

    Raises:
        DataError: if there are more such classes than images.
    """
    count = int(labels.max(initial=-1)) + 1
    if count > len(labels) > 0:
        rule = f"{location}: labels must be 0, 1, ... with images of each"
        raise DataError(f"{rule}, got {count - 1} among {len(labels)} images; number the classes from 0")
    return tuple(str(label) for label in range(count))
