"""What a user should know of the parts of a dataset: copies, contradicting labels, classes of unequal size."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from striate.data.canonical_order import HashedPart, count_shared_images, first_copies, two_labels

_ALSO_IN = "pixel by pixel, also in the"
_DIVIDED = "divided by the source itself"
UNEQUAL = 5  # times the images of the smallest class that the largest one has


def part_notes(classes: tuple[str, ...], parts: Mapping[str, HashedPart]) -> Iterator[str]:
    """A sentence for each fact."""
    yield from _copies_in_training(parts["train"])
    yield from _copies_between(parts)
    yield from _groups_between(parts)
    yield from _two_labels(classes, parts)
    yield from _unequal(classes, parts["train"])


def _copies_in_training(train: HashedPart) -> Iterator[str]:
    first = first_copies(train.hashes)
    if count := int((first != np.arange(len(first))).sum()):
        images = (
            "1 image of the train part is a copy of another"
            if count == 1
            else f"{count:,} images of the train part are copies of others"
        )
        yield f"{images} in it, pixel by pixel"


def _copies_between(parts: Mapping[str, HashedPart]) -> Iterator[str]:
    for name, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        if name in parts and other in parts and (count := count_shared_images(parts[other], parts[name])):
            images = "1 image is" if count == 1 else f"{count} images are"
            yield f"{images} in the {name} part and, {_ALSO_IN} {other} part"


def _groups_between(parts: Mapping[str, HashedPart]) -> Iterator[str]:
    """Groups that the source itself has in several parts."""
    for name, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        if name not in parts or other not in parts:
            continue
        groups, others = parts[name].groups, parts[other].groups
        if groups is None or others is None or not len(shared := np.intersect1d(groups, others)):
            continue
        images = f"{np.isin(others, shared).sum():,} {other} and {np.isin(groups, shared).sum():,} {name} images"
        many = "1 group is" if len(shared) == 1 else f"{len(shared):,} groups are"
        yield f"{many} {_DIVIDED} between its {other} and {name} parts: {images}"


def is_shared_note(note: str) -> bool:
    """Whether a note says that two parts share images, or groups of images."""
    return _ALSO_IN in note or _DIVIDED in note


def _two_labels(classes: tuple[str, ...], parts: Mapping[str, HashedPart]) -> Iterator[str]:
    if found := two_labels(parts):
        images = "1 image has" if len(found) == 1 else f"{len(found):,} images have"
        first, second = (classes[label] for label in found[0])
        yield f"{images} two labels{':' if len(found) == 1 else ', one of them'} '{first}' and '{second}'"


def is_unequal(counts: NDArray[np.int64]) -> bool:
    """Whether the classes have so different numbers of images that accuracy says little about the small ones."""
    return bool(counts.max() >= UNEQUAL * counts.min())


def _unequal(classes: tuple[str, ...], train: HashedPart) -> Iterator[str]:
    counts = np.bincount(train.labels, minlength=len(classes))
    small, large = int(counts.argmin()), int(counts.argmax())
    if is_unequal(counts):
        sizes = f"'{classes[small]}' has {counts[small]:,} of {len(train.labels):,} training images"
        yield f"classes of unequal size: {sizes}, '{classes[large]}' {counts[large]:,}"
