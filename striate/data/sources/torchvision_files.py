"""Downloads and archives, by torchvision's code with its checksums.

This is the only file of the data package that imports torchvision, and so torch, and only where a file is downloaded or an
archive is read.
"""

import os
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from striate.core.errors import DataError, MissingData
from striate.data.contents import ArrayPart, Contents


class Resource(NamedTuple):
    """A file to download: the addresses that have it, in the order to try them, its name and its checksum."""

    addresses: tuple[str, ...]
    name: str
    md5: str


_may_download: ContextVar[bool] = ContextVar("may_download", default=True)


@contextmanager
def no_download() -> Iterator[None]:
    """Inside, what would have to be downloaded is missing."""
    token = _may_download.set(False)
    try:
        yield
    finally:
        _may_download.reset(token)


def resources(kind: str) -> list[Resource]:
    """The files of a class of torchvision.datasets."""
    dataset = _class(kind)
    if hasattr(dataset, "mirrors"):
        return [
            Resource(tuple(mirror + name for mirror in dataset.mirrors), name, md5) for name, md5 in dataset.resources
        ]
    if hasattr(dataset, "split_list"):
        return [
            Resource((url,), name, md5) for url, name, md5 in (dataset.split_list[part] for part in ("train", "test"))
        ]
    return [Resource((dataset.url,), dataset.filename, dataset.tgz_md5)]


def download(kind: str, name: str, folder: Path) -> None:
    """Download the files of a class of torchvision.datasets into `folder`; two processes at once download them once.

    Raises:
        DataError: if they cannot be downloaded.
    """
    if not _may_download.get():
        raise MissingData(f"{name}: not found on this machine; 'striate check' of a study that uses it fetches it")
    files = resources(kind)
    address = files[0].addresses[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for file in files:
                if not (folder / file.name).exists():
                    address = file.addresses[-1]
                    _download(file, folder)
    # torchvision: RuntimeError for a wrong checksum; urllib: OSError for the network, ValueError for an address.
    except (OSError, RuntimeError, ValueError, urllib.error.URLError) as error:
        rule = f"{name}: not found on this machine, and {address} could not be downloaded ({error})"
        names = ", ".join(file.name for file in files)
        raise MissingData(
            f"{rule}; put {names} into {folder}, or set STRIATE_DATA to the folder that holds it"
        ) from error


def _download(file: Resource, folder: Path) -> None:
    """Elsewhere until it is complete: a file of this name in `folder` is taken for the whole."""
    from torchvision.datasets.utils import download_url

    for address in file.addresses:
        try:
            download_url(address, folder / "unfinished", file.name, file.md5)
            os.replace(folder / "unfinished" / file.name, folder / file.name)
            return
        except (OSError, RuntimeError, ValueError, urllib.error.URLError):
            if address == file.addresses[-1]:
                raise


def unpack(kind: str, archive: Path, folder: Path) -> None:
    """Unpack the archive of a class of torchvision.datasets.

    Raises:
        DataError: if its checksum is not the known one.
    """
    from torchvision.datasets.utils import check_integrity, extract_archive

    md5 = _class(kind).tgz_md5
    if not check_integrity(archive, md5):
        raise DataError(f"{archive}: its MD5 must be {md5}, and is not; delete it and download it again")
    extract_archive(str(archive), str(folder))


def read_batches(kind: str, location: str, root: Path) -> Contents:
    """The batches of CIFAR-10 or CIFAR-100 below `root`. They hold pickles: each MD5 is compared before one is opened.

    Raises:
        DataError: if a file is missing or changed.
    """
    dataset = _class(kind)
    try:
        datasets = {"train": dataset(root, train=True), "test": dataset(root, train=False)}
    except RuntimeError as error:
        rule = f"{location}: a file of {dataset.base_folder} is missing or its MD5 is not the known one"
        raise DataError(f"{rule}; delete the folder and download {dataset.filename} again") from error
    parts = {
        name: ArrayPart(np.array(part.targets, np.int64), np.ascontiguousarray(part.data))
        for name, part in datasets.items()
    }
    return Contents(location, tuple(datasets["train"].classes), parts, is_checked=True)


def _class(kind: str) -> Any:
    import torchvision.datasets

    return getattr(torchvision.datasets, kind)
