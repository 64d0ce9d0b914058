"""CIFAR-10 and CIFAR-100: their author's archives, and the recognition of CIFAR-10 by its pixels in any format.

Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from striate.core.errors import DataError
from striate.data.canonical_order import HashedPart, dataset_digest, hash_images
from striate.data.contents import ArrayPart, Contents, Source, SourcePart
from striate.data.dataset import DataConfig
from striate.data.decode import Decoder
from striate.data.sources.torchvision_files import read_batches, unpack

# The digest, without class names, of the 50,000 and 10,000 images, taken from parquet files that Pillow decoded.
DIGEST = "c03ca73034cbde0639916d40739481b95ec3e37422ad2a70ff869fcd5b4f0dbf"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZES = {"train": 50_000, "test": 10_000}
SHAPE = (32, 32, 3)


@dataclass(frozen=True)
class Archive:
    """The names of an archive and of the folder in it, and the class of torchvision.datasets that reads it."""

    name: str
    folder: str
    archive: str
    torchvision: str


CIFAR10 = Archive("cifar10", "cifar-10-batches-py", "cifar-10-python.tar.gz", "CIFAR10")
CIFAR100 = Archive("cifar100", "cifar-100-python", "cifar-100-python.tar.gz", "CIFAR100")


def list_files(path: Path, kind: Archive = CIFAR10) -> tuple[Path, ...]:
    """The batches, or else the archive, that `path` is or holds; none if there are none."""
    for folder in (path, path / kind.folder):
        if folder.name == kind.folder and folder.is_dir():
            return tuple(sorted(file for file in folder.iterdir() if file.is_file()))
    for archive in (path, path / kind.archive):
        if archive.name == kind.archive and archive.is_file():
            return (archive,)
    return ()


def find(path: Path, kind: Archive = CIFAR10) -> Source:
    """The source at a path for which `list_files` lists some."""
    return Source(kind.name, str(path), list_files(path, kind), partial(_read, path, kind))


def recognize(contents: Contents) -> tuple[Contents, bool]:
    """If these are the images of CIFAR-10: the contents decoded, with CIFAR-10's class names, and True.

    Some parquet copies have no class names. Anything else is returned as it is, with False.
    """
    if {name: len(part.labels) for name, part in contents.parts.items()} != SIZES:
        return contents, False
    try:
        parts = {name: _decode(part) for name, part in contents.parts.items()}
    except DataError:
        return contents, False  # a broken image or another shape: decoding with the config reports it
    if dataset_digest((), {name: replace(part, groups=None) for name, part in parts.items()}) != DIGEST:
        return contents, False
    arrays = {name: ArrayPart(part.labels, part.images, part.groups) for name, part in parts.items()}
    return replace(contents, classes=CLASSES, parts=arrays), True


def _decode(part: SourcePart) -> HashedPart:
    """The part in canonical order, unchanged by any config.

    Raises:
        DataError: if its images are not 32 x 32 in color.
    """
    with Decoder(DataConfig(source="cifar10")) as decoder:
        # One chunk before all of them: another source of as many images may not fit in memory.
        first = next(iter(decoder.chunks(part)), None)
        if first is None or first[0].shape[1:] != SHAPE or decoder.broken:
            raise DataError("CIFAR-10 has images of 32 x 32 in color")
        images = np.concatenate([chunk for chunk, _ in decoder.chunks(part)])
        decoder.check_broken()
    whole = HashedPart(images, part.labels, hash_images(images), part.groups)
    return whole.select(whole.canonical_rows())


def _read(path: Path, kind: Archive) -> Contents:
    files = list_files(path, kind)
    if files[0].name != kind.archive:
        return read_batches(kind.torchvision, str(path), files[0].parent.parent)
    # Into a temporary folder: that of the archive may be read-only, and the decoded images are cached anyway.
    with tempfile.TemporaryDirectory() as folder:
        unpack(kind.torchvision, files[0], Path(folder))
        return read_batches(kind.torchvision, str(path), Path(folder))
