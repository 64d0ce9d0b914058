"""`load`: from a config to a dataset, the one door of the sources.

From the word in a study file to a source: a known name, or a path and what lies there.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from striate.core.config import suggest
from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data.cache import stored
from striate.data.canonical_order import Hashed, digest, shared
from striate.data.config import DataConfig
from striate.data.dataset import Dataset, Part
from striate.data.places import cache_folder, data_folder
from striate.data.sources import digits, folders, npz
from striate.data.sources import parquet as parquet_files
from striate.data.sources import torchvision as torchvision_files
from striate.data.sources.contents import Found
from striate.data.splits import class_quotas, draw_stratified

LEAST = 2  # images of a class that `limit` leaves: one to train on and one to validate with


def load(config: DataConfig) -> Dataset:
    """The dataset that a config names, checked.

    Raises:
        DataError: for what is missing, broken or does not fit together; one sentence, with its cure.
    """
    found = find(config.source)
    got = stored(found, config)
    if found.must_be_cifar10 and not got.is_cifar10:
        raise DataError(f"{found.where}: its pixels and labels are not those of CIFAR-10 (checksum); {_CURE}")
    parts, notes = dict(got.parts), [*got.notes]
    if config.limit is not None:
        parts["train"] = _limited(found.where, parts["train"], config.limit, got.classes)
    notes += [
        _leak(name, leaked) for name in parts if name != "train" and (leaked := shared(parts["train"], parts[name]))
    ]
    plain = {name: Part(part.images, part.labels) for name, part in parts.items()}
    return Dataset(
        name="cifar10" if got.is_cifar10 else found.name,
        classes=got.classes,
        train=plain["train"],
        validation=plain.get("validation"),
        test=plain["test"],
        digest=digest(got.classes, parts),
        notes=tuple(notes),
    )


_CURE = "fetch it again, or give its path as data.source if it is meant to be another dataset"


def _leak(name: str, count: int) -> str:
    return f"{count} image{'s' if count > 1 else ''} of the {name} part are, pixel by pixel, also in the train part"


def _limited(where: str, train: Hashed, limit: int, classes: tuple[str, ...]) -> Hashed:
    """A stratified subset. A smaller limit gives a subset of a larger one, and no seed has a say."""
    if limit >= len(train.labels):
        return train
    if limit < LEAST * len(classes):
        rule = f"data.limit: {len(classes)} classes need at least {LEAST * len(classes)} images, got {limit}"
        raise DataError(f"{rule}; raise the limit")
    counts = np.bincount(train.labels, minlength=len(classes))
    quota = class_quotas(counts, limit, np.minimum(counts, LEAST), counts)
    return train.pick(draw_stratified(train.labels, quota, stream(0, "limit")))


def find(source: str) -> Found:
    """The source that `source` names.

    Raises:
        DataError: if there is none, with the nearest known name.
    """
    return NAMES[source]() if source in NAMES else _at(_existing(source))


def _cifar10() -> Found:
    """The first that exists of: the user's data, the cache, the download."""
    given, fetched = data_folder(), cache_folder() / "data" / "cifar10"
    for place in ([given / "cifar10", given] if given else []) + [fetched]:
        if parquet_files.files(place) or torchvision_files.files(place):
            return replace(_at(place), name="cifar10", must_be_cifar10=True)
    return replace(torchvision_files.download(fetched), must_be_cifar10=True)


NAMES: Mapping[str, Callable[[], Found]] = {"digits": digits.find, "cifar10": _cifar10}


def _existing(source: str) -> Path:
    """The path, as given or under $STRIATE_DATA."""
    path, home = Path(source).expanduser(), data_folder()
    for candidate in [path] + ([home / path] if home else []):
        if source and candidate.exists():
            return candidate
    if path.name == source and not path.suffix:
        raise DataError(
            f"data.source: '{source}' is neither a known name nor a path that exists; {suggest(source, NAMES)}"
        )
    also = f" or in {home}" if home and not path.is_absolute() else ""
    raise DataError(
        f"data.source: there is no {source!r} here{also}; give a path that exists, or one of {', '.join(NAMES)}"
    )


def _at(path: Path) -> Found:
    """What kind of source lies at an existing path."""
    if torchvision_files.files(path):
        return torchvision_files.find(path)
    if parquet_files.files(path):
        return parquet_files.find(path)
    if path.is_dir():
        return folders.find(path)
    if path.suffix.lower() == ".npz":
        return npz.find(path)
    raise DataError(f"{path}: a file of images must be .npz or .parquet, got '{path.suffix}'; or give a folder")
