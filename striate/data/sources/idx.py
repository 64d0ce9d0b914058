"""The idx files of MNIST and its kin, with and without .gz, also in the folders where torchvision leaves them.

A file of images and one of labels for each part: `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte.gz`.
"""

import gzip
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.data.contents import ArrayPart, Contents, Source, numbered_classes
from striate.data.part_names import part_in, words
from striate.data.sources.known import known_by_md5
from striate.data.unread import listed

BELOW = (".", "raw", "*/raw")  # torchvision: ROOT/MNIST/raw
BYTES = 8  # the type of pixels and labels: unsigned bytes


class IdxFile(NamedTuple):
    """A file of images or of labels, and the part that its name says."""

    path: Path
    part: str
    holds_images: bool


def list_files(path: Path) -> tuple[Path, ...]:
    """The idx files that a folder holds; none if there are none, or those of several datasets below it."""
    if not path.is_dir():
        return ()
    for below in BELOW:
        folders = sorted({file.parent for file in path.glob(f"{below}/*idx[13]*") if file.is_file()})
        files = [tuple(found) for folder in folders if (found := _in_folder(folder))]
        if len(files) == 1:
            return files[0]
    return ()


def _in_folder(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and "idx" in file.name.lower() and _parsed(file))


def find(path: Path) -> Source:
    """The source at a path for which `list_files` lists some.

    Raises:
        DataError: for a file without its partner.
    """
    chosen, twice = _pairs(path, list_files(path))
    files = tuple(file for pair in chosen.values() for file in pair)
    notes = (f"not read, as another copy is: {listed([file.name for file in twice])}",) if twice else ()
    return Source(path.resolve().name, str(path), files, partial(_read, path, chosen), notes=notes)


def _parsed(path: Path) -> IdxFile | None:
    """A file by the words of its name; None if they say no part, or neither images nor labels."""
    name = path.name.lower()
    part = "test" if "t10k" in name else part_in(name.split("idx")[0])
    kinds = {"images", "labels"} & set(words(name))
    return IdxFile(path, part, kinds == {"images"}) if part and len(kinds) == 1 else None


def _pairs(path: Path, files: tuple[Path, ...]) -> tuple[dict[str, tuple[Path, Path]], list[Path]]:
    """The files of images and labels by part, and copies of them that are not read (with and without .gz)."""
    by_kind: dict[tuple[str, bool], Path] = {}
    twice = []
    for file in sorted(files, key=lambda file: (file.suffix != ".gz", file.name)):  # packed files have known checksums
        parsed = _parsed(file)
        if parsed and (parsed.part, parsed.holds_images) in by_kind:
            twice.append(file)
        elif parsed:
            by_kind[parsed.part, parsed.holds_images] = file
    parts = [part for part in ("train", "validation", "test") if (part, True) in by_kind or (part, False) in by_kind]
    for part in parts:
        for holds_images, what in ((True, "images"), (False, "labels")):
            if (part, holds_images) not in by_kind:
                raise DataError(f"{path}: the idx file of the {part} {what} is missing; put it beside the others")
    if "train" not in parts:
        raise DataError(f"{path}: has idx files of the {' and '.join(parts)} part and none of the train part; add them")
    return {part: (by_kind[part, True], by_kind[part, False]) for part in parts}, twice


def _read(path: Path, pairs: dict[str, tuple[Path, Path]]) -> Contents:
    parts = {}
    for part, (images_file, labels_file) in pairs.items():
        images, labels = _array(images_file, 3), _array(labels_file, 1)
        if len(images) != len(labels):
            rule = f"{images_file}: has {len(images):,} images and {labels_file.name} has {len(labels):,} labels"
            raise DataError(f"{rule}; fetch both again")
        parts[part] = ArrayPart(labels.astype(np.int64), images[..., None])
    known = known_by_md5(parts, (file for pair in pairs.values() for file in pair))
    classes = known.classes if known else numbered_classes(str(path), parts["train"].labels)
    return Contents(str(path), classes, parts, is_checked=known is not None, keeps_order=True)


def _array(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array in an idx file: two zero bytes, type, number of axes, their lengths as big-endian integers, the values."""
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else path.open("rb") as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from error
    if len(data) < 4 + 4 * axes or data[:4] != bytes([0, 0, BYTES, axes]):
        raise DataError(
            f"{path}: must be an idx file of {axes} axes of bytes, begins with {data[:4].hex(' ')}; fetch it again"
        )
    shape = tuple(int(length) for length in np.frombuffer(data, ">u4", axes, 4))
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * axes)
    if len(values) != np.prod(shape, dtype=object):
        size = " x ".join(map(str, shape))
        raise DataError(f"{path}: has {len(values):,} values, where its header says {size}; fetch it again")
    return values.reshape(shape)
