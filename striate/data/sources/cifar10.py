"""CIFAR-10: its author's archive, downloaded and read by torchvision, and its recognition by pixels in any format.

Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. This is the only file of the data package
that imports torchvision, and so torch, and only where the archive is read. The archive holds pickles: torchvision
compares their MD5 with the known ones before it opens one.
"""

import os
import tempfile
import urllib.error
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock

from striate.core.errors import DataError
from striate.data.canonical_order import HashedPart, argsort_by_hash, dataset_digest, hash_images
from striate.data.contents import ArrayPart, Contents, Source, SourcePart
from striate.data.dataset import DataConfig
from striate.data.decode import Decoder

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
# The digest, without class names, of the 50,000 and 10,000 images, taken from parquet files that Pillow decoded.
DIGEST = "c03ca73034cbde0639916d40739481b95ec3e37422ad2a70ff869fcd5b4f0dbf"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZES = {"train": 50_000, "test": 10_000}
SHAPE = (32, 32, 3)


def list_files(path: Path) -> tuple[Path, ...]:
    """The batches, or else the archive, that `path` is or holds; none if there are none."""
    for folder in (path, path / FOLDER):
        if folder.name == FOLDER and folder.is_dir():
            return tuple(sorted(file for file in folder.iterdir() if file.is_file()))
    for archive in (path, path / ARCHIVE):
        if archive.name == ARCHIVE and archive.is_file():
            return (archive,)
    return ()


def find(path: Path) -> Source:
    """The source at a path for which `list_files` lists some."""
    return Source("cifar10", str(path), list_files(path), partial(_read, path))


def download(folder: Path) -> Source:
    """Download the archive into `folder`; two processes at once download it once.

    Raises:
        DataError: if it cannot be downloaded.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_url

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not (folder / ARCHIVE).exists():
                # Elsewhere until it is complete: a file of the archive's name in `folder` is taken for the archive.
                download_url(CIFAR10.url, folder / "unfinished", ARCHIVE, CIFAR10.tgz_md5)
                os.replace(folder / "unfinished" / ARCHIVE, folder / ARCHIVE)
    # torchvision: RuntimeError for a wrong checksum; urllib: OSError for the network, ValueError for an address.
    except (OSError, RuntimeError, ValueError, urllib.error.URLError) as error:
        rule = f"cifar10: not found on this machine, and {CIFAR10.url} could not be downloaded ({error})"
        raise DataError(
            f"{rule}; put {ARCHIVE} into {folder}, or set STRIATE_DATA to the folder that holds it"
        ) from error
    return find(folder)


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
    if dataset_digest((), parts) != DIGEST:
        return contents, False
    arrays = {name: ArrayPart(part.labels, part.images) for name, part in parts.items()}
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
        images, labels = zip(*decoder.chunks(part), strict=True)
        decoder.check_broken()
    hashes = [hash_images(chunk) for chunk in images]
    whole = HashedPart(np.concatenate(images), np.concatenate(labels), np.concatenate(hashes))
    return whole.select(argsort_by_hash(whole.labels, whole.hashes))


def _read(path: Path) -> Contents:
    files = list_files(path)
    if files[0].name != ARCHIVE:
        return _read_batches(str(path), files[0].parent.parent)
    # Into a temporary folder: that of the archive may be read-only, and the decoded images are cached anyway.
    with tempfile.TemporaryDirectory() as folder:
        _unpack(files[0], Path(folder))
        return _read_batches(str(path), Path(folder))


def _unpack(archive: Path, folder: Path) -> None:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity, extract_archive

    if not check_integrity(archive, CIFAR10.tgz_md5):
        raise DataError(f"{archive}: its MD5 must be {CIFAR10.tgz_md5}, and is not; delete it and download it again")
    extract_archive(str(archive), str(folder))


def _read_batches(location: str, root: Path) -> Contents:
    from torchvision.datasets import CIFAR10

    try:
        datasets = {"train": CIFAR10(root, train=True), "test": CIFAR10(root, train=False)}
    except RuntimeError as error:
        rule = f"{location}: a file of {FOLDER} is missing or its MD5 is not the known one"
        raise DataError(f"{rule}; delete the folder and download {ARCHIVE} again") from error
    parts = {
        name: ArrayPart(np.array(dataset.targets, np.int64), np.ascontiguousarray(dataset.data))
        for name, dataset in datasets.items()
    }
    return Contents(location, tuple(datasets["train"].classes), parts)
