"""What a source promises before anything is decoded: plain data that the rest of the room works on.

A source finds (`Found`: which files, cheap) and reads (`Contents`: classes and labels known, images still to come).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from striate.data.dataset import Images, Labels

# What errors call an image, and where its encoded bytes are.
Item = tuple[str, Path | bytes]


@dataclass(frozen=True)
class Encoded:
    """Images still in their files, in the order of their labels."""

    labels: Labels
    items: Callable[[], Iterator[Item]]


@dataclass(frozen=True)
class Decoded:
    """Images that the source keeps as an array, N x H x W x C."""

    labels: Labels
    images: Images


Rows = Encoded | Decoded


@dataclass(frozen=True)
class Contents:
    """The parts are called train, validation (if the source has one) and test (if it has one)."""

    where: str  # what errors call the source
    classes: tuple[str, ...]
    parts: Mapping[str, Rows]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A source that exists. Its contents change only when one of `files` changes; no files: never."""

    name: str
    where: str
    files: tuple[Path, ...]
    read: Callable[[], Contents]
    must_be_cifar10: bool = False
