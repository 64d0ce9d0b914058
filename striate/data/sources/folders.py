"""A folder of images with a folder for each class, with or without train/, val/ and test/ above the classes.

Names decide nothing but the classes: hidden files and other kinds of files are ignored, and images may lie deeper.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from striate.core.errors import DataError
from striate.data.sources.contents import Contents, Encoded, Found, Item

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
LEVELS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip

Tree = dict[str, dict[str, list[Path]]]  # part, class, files


def find(folder: Path) -> Found:
    """The folder, listed."""
    tree = _listed(folder)
    files = tuple(path for classes in tree.values() for paths in classes.values() for path in paths)
    return Found(folder.resolve().name, str(folder), files, partial(_read, folder, tree))


def _listed(folder: Path) -> Tree:
    parts = _parts(folder)
    tree = {name: {path.name: _images(path) for path in _subfolders(home)} for name, home in parts.items()}
    if not any(paths for classes in tree.values() for paths in classes.values()):
        rule = f"{folder}: there are no images in class folders here"
        raise DataError(f"{rule}; put them as {folder.name}/CLASS/IMAGE.png ({', '.join(sorted(SUFFIXES))})")
    return tree


def _parts(folder: Path) -> dict[str, Path]:
    """Where each part is. `train` is a part and not a class if it holds folders."""
    below = {path.name.lower(): path for path in _subfolders(folder)}
    levels: dict[str, Path] = {}
    for name, path in below.items():
        if (part := LEVELS.get(name)) and _subfolders(path):
            if part in levels:
                raise DataError(
                    f"{folder}: '{levels[part].name}' and '{name}' are both its {part} part; keep one of them"
                )
            levels[part] = path
    if levels and "train" not in levels:
        raise DataError(
            f"{folder}: has {', '.join(below)} and no train folder; add one, or give the folder of one part"
        )
    return levels or {"train": folder}


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    found = []
    for home, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [
            Path(home, name) for name in names if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return sorted(found)


def _read(folder: Path, tree: Tree) -> Contents:
    classes = tuple(tree["train"])
    for part, found in tree.items():
        if extra := sorted(set(found) - set(classes)):
            rule = f"{folder}: the {part} part must have the classes of the train part"
            raise DataError(f"{rule}, got '{extra[0]}' too; move or remove it")
        if empty := [name for name, paths in found.items() if not paths]:
            rule = f"{folder}, {part} part: class folder '{empty[0]}' has no images"
            raise DataError(f"{rule}; add some or remove the folder")
    return Contents(str(folder), classes, {part: _rows(folder, found, classes) for part, found in tree.items()})


def _rows(folder: Path, found: dict[str, list[Path]], classes: tuple[str, ...]) -> Encoded:
    labels = [label for label, name in enumerate(classes) for _ in found.get(name, [])]
    paths = [path for name in classes for path in found.get(name, [])]

    def items() -> Iterator[Item]:
        return ((path.relative_to(folder).as_posix(), path) for path in paths)

    return Encoded(np.array(labels, np.int64), items)
