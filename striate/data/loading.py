"""`load`: from the `data` of a study file to a dataset, by finding its source and decoding it through the cache.

STRIATE_DATA names a folder of datasets that is only read; STRIATE_CACHE one that may be deleted at any time.

The digits are scikit-learn's: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from striate.core.config import suggest
from striate.core.errors import DataError, MissingData
from striate.core.records import printable
from striate.core.seeds import stream
from striate.data.cache import cache_folder, expand_user, load_cached
from striate.data.canonical_order import HashedPart, dataset_digest, first_copies
from striate.data.contents import ArrayPart, Contents, Source
from striate.data.dataset import DataConfig, Dataset, Part
from striate.data.groups import renumber
from striate.data.part_notes import part_notes
from striate.data.sources import cifar10, folders, idx, npz, parquet, svhn
from striate.data.sources.known import KNOWN, OWN_FOLDERS, Known, OwnFolder, as_known
from striate.data.sources.torchvision_files import download
from striate.data.splits import class_quotas, draw_stratified

DIGITS_SIDE = 32
PACKAGED = Path("/usr/share/datasets")  # of Debian: dataset-fashion-mnist
MIN_OF_CLASS = 2  # images of a class that `limit` leaves: one to train on and one to validate with


def load(config: DataConfig) -> Dataset:
    """The dataset that a config describes, checked.

    Raises:
        DataError: for what is missing, broken or does not fit together.
    """
    source = find_source(config.source)
    decoded = load_cached(source, config)
    if source.must_be_cifar10 and not decoded.is_cifar10:
        rule = f"{source.location}: its pixels and labels are not those of CIFAR-10 (checksum)"
        raise DataError(f"{rule}; fetch it again, or give its path as data.source if it is meant to be another dataset")
    parts = dict(decoded.parts)
    if config.limit is not None:
        parts["train"] = _limit(parts["train"], config.limit, decoded.classes)
    plain = {name: Part(part.images, part.labels) for name, part in parts.items()}
    return Dataset(
        name="cifar10" if decoded.is_cifar10 else printable(source.name, keep=""),
        classes=decoded.classes,
        train=plain["train"],
        validation=plain.get("validation"),
        test=plain["test"],
        digest=dataset_digest(decoded.classes, parts),
        notes=(*source.notes, *decoded.notes, *part_notes(decoded.classes, parts)),
        copy_of=first_copies(parts["train"].hashes),
        bits=decoded.bits,
        groups=None if (groups := parts["train"].groups) is None else renumber(groups),
    )


def _limit(train: HashedPart, limit: int, classes: tuple[str, ...]) -> HashedPart:
    """A stratified subset, the same for every seed. A smaller limit gives a subset of a larger one."""
    if limit >= len(train.labels):
        return train
    if limit < MIN_OF_CLASS * len(classes):
        rule = f"data.limit: {len(classes)} classes need at least {MIN_OF_CLASS * len(classes)} images, got {limit}"
        raise DataError(f"{rule}; raise the limit")
    counts = np.bincount(train.labels, minlength=len(classes))
    quotas = class_quotas(counts, limit, np.minimum(counts, MIN_OF_CLASS), counts)
    return train.select(draw_stratified(train.labels, quotas, stream(0, "limit")))


def find_source(text: str) -> Source:
    """The source that a known name or a path means.

    Raises:
        DataError: if there is none, with the nearest known name.
    """
    return NAMED_SOURCES[text]() if is_named(text, Path()) else _source_at(_existing_path(text))


def is_named(text: str, folder: Path) -> bool:
    """Whether a source in a study file of `folder` is a known name.

    A file or folder called `mnist` there comes before the name, as it did when that was no name yet.
    """
    return text in FIRST_NAMES or (text in NAMED_SOURCES and not _exists(folder / text))


def data_folder() -> Path | None:
    """$STRIATE_DATA, if it is set."""
    value = os.environ.get("STRIATE_DATA")
    return expand_user(value, "STRIATE_DATA") if value else None


def _digits() -> Source:
    """The digits, which come with scikit-learn and need no file."""
    return Source("digits", "digits", (), _read_digits)


def _read_digits() -> Contents:
    """The 8 x 8 counts of 0 to 16 as 32 x 32 gray levels, so that networks made for CIFAR-10 take them."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    gray = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    side = (DIGITS_SIDE, DIGITS_SIDE)
    images = [np.asarray(Image.fromarray(image).resize(side, Image.Resampling.BILINEAR)) for image in gray]
    train = ArrayPart(digits.target.astype(np.int64), np.stack(images)[..., None])
    return Contents("digits", tuple("0123456789"), {"train": train})


def _cifar10() -> Source:
    """CIFAR-10 from the first of: STRIATE_DATA, the cache, a download."""
    home, downloaded = data_folder(), cache_folder() / "data" / "cifar10"
    for folder in [*([home / "cifar10", home] if home else []), downloaded]:
        if cifar10.list_files(folder) or parquet.list_files(folder, is_deep=folder != home):
            return replace(_source_at(folder), name="cifar10", must_be_cifar10=True, read_groups=None)
    download("CIFAR10", "cifar10", downloaded)
    return replace(cifar10.find(downloaded), must_be_cifar10=True)


def _known(known: Known) -> Source:
    """A dataset that goes by a name, from the first of: STRIATE_DATA, Debian's packages, the cache, a download."""
    home, downloaded = data_folder(), cache_folder() / "data" / known.name
    names = dict.fromkeys([known.name, known.torchvision, known.name.replace("-", "_"), known.name.upper()])
    for folder in [home / name for name in names] if home else []:
        if source := _source_of(known, folder):
            return source
    if home and _exists(home / known.name):
        return _source_at(home / known.name)  # of a form that the name does not cover, such as a folder of images
    for folder in (PACKAGED / known.name, downloaded):
        if source := _source_of(known, folder):
            return source
    if home and (source := _source_of(known, home, is_deep=False)):
        return source
    download(known.torchvision, known.name, downloaded)
    source = _source_of(known, downloaded)
    assert source, "what was downloaded is found"
    return source


def _source_of(known: Known, folder: Path, is_deep: bool = True) -> Source | None:
    """The named dataset in a folder, whose content is checked when it is read; None if there are no such files."""
    if not _exists(folder):
        return None
    try:
        if (
            known.torchvision.endswith("MNIST")
            and (is_deep or not any(folder.glob("*/raw")))
            and idx.list_files(folder)
        ):
            found = idx.find(folder)
        elif known.name == "svhn" and svhn.list_files(folder):
            found = svhn.find(folder)
        elif known.name == "cifar100" and cifar10.list_files(folder, cifar10.CIFAR100):
            found = cifar10.find(folder, cifar10.CIFAR100)
        elif is_deep and parquet.list_files(folder):
            found = parquet.find(folder, leave_out="extra")  # of SVHN
        elif (folder / f"{known.name}.npz").is_file():
            found = npz.find(folder / f"{known.name}.npz")
        else:
            return None
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    read = partial(as_known, known, found.read)
    return replace(found, name=known.name, reading=known.name, read=read, read_groups=None)


def _own(own: OwnFolder) -> Source:
    """A folder that the user brings, from the first of: STRIATE_DATA, the cache."""
    home, cached = data_folder(), cache_folder() / "data" / own.name
    for folder in [*([home / own.name] if home else []), cached]:
        if _exists(folder):
            return _source_at(folder)
    places = f"{cached}, or into the folder {own.name} of STRIATE_DATA"
    rule = f"{own.name}: not found on this machine; it holds {own.holds}"
    raise MissingData(f"{rule}; {own.get}, and put it into {places}, or give its path (data=FOLDER)")


FIRST_NAMES = ("digits", "cifar10")  # these come before paths
NAMED_SOURCES: Mapping[str, Callable[[], Source]] = {
    "digits": _digits,
    "cifar10": _cifar10,
    **{name: partial(_known, known) for name, known in KNOWN.items()},
    **{name: partial(_own, own) for name, own in OWN_FOLDERS.items()},
}


def _existing_path(source: str) -> Path:
    """The path, as given or under $STRIATE_DATA."""
    path, home = expand_user(source, "data.source"), data_folder()
    for candidate in [path, *([home / path] if home else [])]:
        if source and _exists(candidate):
            return candidate
    if path.name == source and not path.suffix:
        rule = f"data.source: '{source}' is neither a known name nor a path that exists"
        raise DataError(f"{rule}; {suggest(source, NAMED_SOURCES)}")
    also = f" or in {home}" if home and not path.is_absolute() else ""
    rule = f"data.source: there is no {source!r} here{also}"
    raise DataError(f"{rule}; give a path that exists, or one of {', '.join(NAMED_SOURCES)}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise DataError(f"data.source: {path} cannot be read ({error.strerror}); give a path that can") from error


def _source_at(path: Path) -> Source:
    """The source at a path that exists, by what it holds."""
    try:
        if cifar10.list_files(path):
            return cifar10.find(path)
        if cifar10.list_files(path, cifar10.CIFAR100):
            return cifar10.find(path, cifar10.CIFAR100)
        if parquet.list_files(path):
            return parquet.find(path)
        if idx.list_files(path):
            return idx.find(path)
        if svhn.list_files(path):
            return svhn.find(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be listed ({error.strerror}); check its permissions") from error
    if path.is_dir():
        return folders.find(path)
    if path.suffix.lower() == ".npz":
        return npz.find(path)
    raise DataError(f"{path}: a file of images must be .npz or .parquet, got '{path.suffix}'; or give a folder")
