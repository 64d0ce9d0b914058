"""A folder of images with a folder for each class, with or without train/, val/ and test/ above the classes.

Only the class folders' names matter: hidden files and other kinds of files are ignored, and images may lie deeper.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from striate.core.errors import DataError
from striate.core.records import printable
from striate.data.contents import Contents, EncodedImage, EncodedPart, Source

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
PART_FOLDERS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip

Tree = dict[str, dict[str, list[Path]]]  # part -> class -> files


def find(folder: Path) -> Source:
    """The source in a folder, with all its files listed.

    Raises:
        DataError: if there are no images in class folders.
    """
    try:
        tree = _list_images(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    files = tuple(path for classes in tree.values() for paths in classes.values() for path in paths)
    return Source(folder.resolve().name, str(folder), files, partial(_read, folder, tree))


def _list_images(folder: Path) -> Tree:
    tree = {
        part: {path.name: _images_below(path) for path in _subfolders(part_folder)}
        for part, part_folder in _part_folders(folder).items()
    }
    if not any(paths for classes in tree.values() for paths in classes.values()):
        rule = f"{folder}: there are no images in class folders here"
        raise DataError(f"{rule}; put them as {folder.name}/CLASS/IMAGE.png ({', '.join(sorted(SUFFIXES))})")
    return tree


def _part_folders(folder: Path) -> dict[str, Path]:
    """The folder of each part. A folder named `train` is a part if it holds folders, else a class."""
    subfolders = _subfolders(folder)
    part_folders: dict[str, Path] = {}
    for path in subfolders:
        part = PART_FOLDERS.get(path.name.lower())
        if part and _subfolders(path):
            if part in part_folders:
                rule = f"{folder}: '{part_folders[part].name}' and '{path.name}' are both its {part} part"
                raise DataError(f"{rule}; keep one of them")
            part_folders[part] = path
    if part_folders and "train" not in part_folders:
        rule = f"{folder}: has {', '.join(path.name for path in subfolders)} and no train folder"
        raise DataError(f"{rule}; add one, or give the folder of one part")
    return part_folders or {"train": folder}


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images_below(folder: Path) -> list[Path]:
    paths = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible = [Path(parent, name) for name in names if not name.startswith(".")]
        paths += [path for path in visible if path.suffix.lower() in SUFFIXES]
    return sorted(paths)


def _raise(error: OSError) -> None:
    raise error


def _read(folder: Path, tree: Tree) -> Contents:
    classes = tuple(tree["train"])
    for part, files in tree.items():
        if extra := sorted(set(files) - set(classes)):
            rule = f"{folder}: the {part} part must have the classes of the train part, got '{extra[0]}' too"
            raise DataError(f"{rule}; move or remove it")
        if empty := [name for name, paths in files.items() if not paths]:
            rule = f"{folder}, {part} part: class folder '{empty[0]}' has no images"
            raise DataError(f"{rule}; add some or remove the folder")
    return Contents(str(folder), classes, {part: _part(folder, files, classes) for part, files in tree.items()})


def _part(folder: Path, files: dict[str, list[Path]], classes: tuple[str, ...]) -> EncodedPart:
    labels = [label for label, name in enumerate(classes) for _ in files.get(name, [])]
    paths = [path for name in classes for path in files.get(name, [])]

    def images() -> Iterator[EncodedImage]:
        return (EncodedImage(printable(path.relative_to(folder).as_posix(), keep=""), path) for path in paths)

    return EncodedPart(np.array(labels, np.int64), images)
