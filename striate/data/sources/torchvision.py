"""CIFAR-10 as its author distributes it, downloaded, checked and read by torchvision.

The only file of this room that imports torchvision, and so torch, and only when these files are what there is. The
author's files are pickles; torchvision compares their MD5 with those it knows before it opens one.
"""

import os
import tempfile
import urllib.error
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from striate.core.errors import DataError
from striate.data.sources.contents import Contents, Decoded, Found

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"


def files(path: Path) -> tuple[Path, ...]:
    """What `path` is or holds of these files: the batches, or else the archive."""
    for folder in (path, path / FOLDER):
        if folder.name == FOLDER and folder.is_dir():
            return tuple(sorted(file for file in folder.iterdir() if file.is_file()))
    for archive in (path, path / ARCHIVE):
        if archive.name == ARCHIVE and archive.is_file():
            return (archive,)
    return ()


def find(path: Path) -> Found:
    """The files at a path that `files` has found some for."""
    return Found("cifar10", str(path), files(path), partial(_read, path))


def download(folder: Path) -> Found:
    """Fetch the archive into `folder`; two processes at once fetch it once."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_url

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not (folder / ARCHIVE).exists():
                # Aside until it is whole: what has the archive's name in `folder` is taken for the archive.
                download_url(CIFAR10.url, folder / "unfinished", ARCHIVE, CIFAR10.tgz_md5)
                os.replace(folder / "unfinished" / ARCHIVE, folder / ARCHIVE)
    # torchvision: RuntimeError for a wrong checksum; urllib: OSError for the net, ValueError for an address.
    except (OSError, RuntimeError, ValueError, urllib.error.URLError) as error:
        rule = f"cifar10: not found on this machine, and {CIFAR10.url} could not be fetched ({error})"
        raise DataError(
            f"{rule}; put {ARCHIVE} into {folder}, or set STRIATE_DATA to the folder that holds it"
        ) from error
    return find(folder)


def _read(path: Path) -> Contents:
    found = files(path)
    if found[0].name != ARCHIVE:
        return _batches(str(path), found[0].parent.parent)
    # Unpacked aside: the folder may be read-only, and what lasts is the cache of decoded images.
    with tempfile.TemporaryDirectory() as aside:
        _unpack(found[0], Path(aside))
        return _batches(str(path), Path(aside))


def _unpack(archive: Path, folder: Path) -> None:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity, extract_archive

    if not check_integrity(archive, CIFAR10.tgz_md5):
        raise DataError(f"{archive}: its MD5 must be {CIFAR10.tgz_md5}, and is not; delete it and fetch it again")
    extract_archive(str(archive), str(folder))


def _batches(where: str, root: Path) -> Contents:
    from torchvision.datasets import CIFAR10

    try:
        parts = {"train": CIFAR10(root, train=True), "test": CIFAR10(root, train=False)}
    except RuntimeError as error:
        rule = f"{where}: a file of {FOLDER} is missing or its MD5 is not the known one"
        raise DataError(f"{rule}; delete the folder and fetch {ARCHIVE} again") from error
    return Contents(where, tuple(parts["train"].classes), {name: _rows(part) for name, part in parts.items()})


def _rows(part: Any) -> Decoded:
    return Decoded(np.array(part.targets, np.int64), np.ascontiguousarray(part.data))
