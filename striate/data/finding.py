"""From the word in a study file to a source: a known name, or a path and what lies there."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from striate.core.config import suggest
from striate.core.errors import DataError
from striate.data import digits, folders, npz, parquet_files, torchvision_files
from striate.data.contents import Found
from striate.data.places import cache_folder, data_folder


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
