"""A folder of images with a folder for each class, with or without train/, val/ and test/ above or below the classes.

The names of folders say part and class, and images may lie deeper. What a file is, its content says. What is not read is
named in a note; a folder of images that belongs to no part is refused.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from striate.core.errors import DataError
from striate.core.records import printable
from striate.data.contents import Contents, EncodedImage, EncodedPart, Source, looks_too_dark, with_groups
from striate.data.file_kinds import SUFFIXES, format_of, readable_formats
from striate.data.groups import FOLDER, path_rule
from striate.data.part_names import part_called, part_in
from striate.data.unread import Unread, is_left_behind, subfolders

Tree = dict[str, dict[str, list[Path]]]  # part -> class -> files
ClassFolders = dict[str, dict[str, Path]]  # part -> class -> folder


@dataclass(frozen=True)
class Listing:
    """What lies in a folder: the images by part and class, and notes about the rest."""

    tree: Tree
    folders: ClassFolders
    notes: tuple[str, ...]
    reading: str = ""


def find(folder: Path) -> Source:
    """The source in a folder, with all its files listed.

    Raises:
        DataError: if there are no images in class folders, or a folder of images that belongs to no part.
    """
    try:
        listing = _list_images(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    tree = listing.tree
    files = tuple(path for classes in tree.values() for paths in classes.values() for path in paths)
    return Source(
        folder.resolve().name,
        str(folder),
        files,
        partial(_read, folder, tree),
        notes=listing.notes,
        reading=listing.reading,
        is_outdated=looks_too_dark,
        read_groups=partial(_read_groups, folder, listing),
    )


def _list_images(folder: Path) -> Listing:
    unread = Unread(folder)
    folders, reading = _class_folders(folder, unread)
    tree = {
        part: {name: images_below(path, unread) for name, path in classes.items()} for part, classes in folders.items()
    }
    notes = unread.notes()
    if not any(paths for classes in tree.values() for paths in classes.values()):
        rule = f"{folder}: there are no images in class folders here{_in_brackets(notes)}"
        raise DataError(f"{rule}; put them as {folder.name}/CLASS/IMAGE.png ({', '.join(sorted(SUFFIXES))})")
    if empty := [name for name, paths in tree["train"].items() if not paths]:
        rule = f"{folder}, train part: class folder '{empty[0]}' has no images{_in_brackets(notes)}"
        raise DataError(f"{rule}; add some or remove the folder")
    return Listing(tree, folders, notes, reading)


def _in_brackets(notes: tuple[str, ...]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""


def _class_folders(folder: Path, unread: Unread) -> tuple[ClassFolders, str]:
    """The class folders of each part, and a word for a layout that older versions read otherwise."""
    root = _unwrapped(folder, unread)
    if part_folders := _part_folders(root, folder):
        _refuse_others(root, part_folders, unread)
        return {part: _subfolders_of_part(path, part, unread) for part, path in part_folders.items()}, ""
    _note_files(root, unread)
    classes = _subfolders(root, unread)
    if by_part := _parts_below_classes(folder, classes):
        for path in classes.values():
            _note_files(path, unread)
        return by_part, "parts below classes"
    return {"train": classes}, ""


def _unwrapped(folder: Path, unread: Unread) -> Path:
    """The folder itself, or the only folder in it if that holds the parts: archives are packed so."""
    below = list(_subfolders(folder).values())
    if len(below) == 1 and not part_called(below[0].name) and "train" in _part_folders(below[0], below[0]):
        _note_files(folder, unread)
        _subfolders(folder, unread)
        return below[0]
    return folder


def _part_folders(root: Path, folder: Path) -> dict[str, Path]:
    """The folder of each part. A folder named `train` is a part if it holds folders, else a class."""
    below = list(_subfolders(root).values())
    named = [(part, path) for path in below if (part := part_called(path.name)) and _subfolders(path)]
    if not named:
        named = [(part, path) for path in below if (part := part_in(path.name)) and _subfolders(path)]
        if not {"train"} < {part for part, _ in named}:  # `train_station` alone is a class
            return {}
    part_folders: dict[str, Path] = {}
    for part, path in named:
        if part in part_folders:
            rule = f"{folder}: '{part_folders[part].name}' and '{path.name}' are both its {part} part"
            raise DataError(f"{rule}; keep one of them")
        part_folders[part] = path
    if part_folders and "train" not in part_folders:
        rule = f"{folder}: has {', '.join(path.name for path in below)} and no train folder"
        raise DataError(f"{rule}; add one, or give the folder of one part")
    return part_folders


def _refuse_others(root: Path, part_folders: Mapping[str, Path], unread: Unread) -> None:
    """Refuse images that lie beside the parts in folders of their own; note everything else."""
    _note_files(root, unread)
    for path in _subfolders(root, unread).values():
        if path in part_folders.values():
            continue
        other = Unread(unread.root)
        images = images_below(path, other)
        count = f"{len(images):,} image{'' if len(images) == 1 else 's'}"
        if images and part_called(path.name):
            rule = f"{unread.root}: '{path.name}' has {count} and no class folders"
            raise DataError(f"{rule}; sort them into class folders, or give the train folder alone")
        if images:
            rule = f"{unread.root}: '{path.name}' has {count} and belongs to no part"
            raise DataError(f"{rule}; name it train, validation or test, or move it away")
        unread.no_images += other.no_images or [f"{unread.name(path)}/"]
        unread.left_behind += other.left_behind
        for cure, names in other.no_decoder.items():
            unread.no_decoder.setdefault(cure, []).extend(names)


def _subfolders_of_part(path: Path, part: str, unread: Unread) -> dict[str, Path]:
    """The class folders of a part, also where they lie one folder deeper: `seg_train/seg_train/CLASS`."""
    _note_files(path, unread)
    below = _subfolders(path, unread)
    only = next(iter(below.values())) if len(below) == 1 else None
    if only and part_in(only.name) == part and _subfolders(only):
        _note_files(only, unread)
        return _subfolders(only, unread)
    return below


def _parts_below_classes(folder: Path, classes: Mapping[str, Path]) -> ClassFolders:
    """The class folders by part if every class has its parts in itself: `CLASS/train`, `CLASS/test`; else nothing.

    Raises:
        DataError: if only some classes have parts in themselves, or a class has folders beside them.
    """
    below = {name: list(_subfolders(class_folder).values()) for name, class_folder in classes.items()}
    # Of two folders for one part the first is kept here, and the second refused.
    parts_of = {name: {part_called(path.name): path for path in reversed(paths)} for name, paths in below.items()}
    with_parts = [name for name, parts in parts_of.items() if "train" in parts and len({*parts} - {""}) > 1]
    if not with_parts:
        return {}
    rule = f"{folder}: class '{with_parts[0]}' has train and test folders in it"
    if others := [name for name in classes if name not in with_parts]:
        raise DataError(f"{rule}, and class '{others[0]}' has none; sort all classes alike")
    for name, paths in below.items():
        if others := [path.name for path in paths if path not in parts_of[name].values() or not part_called(path.name)]:
            raise DataError(
                f"{rule}, and '{name}/{others[0]}' belongs to no part of its own; rename it or move it away"
            )
    names = sorted({part for parts in parts_of.values() for part in parts})
    return {part: {name: parts[part] for name, parts in parts_of.items() if part in parts} for part in names}


def _subfolders(folder: Path, unread: Unread | None = None) -> dict[str, Path]:
    """The folders in a folder by name; those that programs left behind are noted."""
    found = subfolders(folder)
    if unread:
        unread.left_behind += [f"{unread.name(path)}/" for path in found if is_left_behind(path.name)]
    return {path.name: path for path in found if not is_left_behind(path.name)}


def _note_files(folder: Path, unread: Unread) -> None:
    """Note the files that lie in a folder itself, where no image is looked for."""
    for path in sorted(path for path in folder.iterdir() if not path.is_dir()):
        if is_left_behind(path.name):
            unread.left_behind.append(unread.name(path))
        elif path.suffix.lower() in SUFFIXES or format_of(path) in readable_formats():
            unread.outside.append(unread.name(path))
        else:
            unread.add_file(path, format_of(path))


def images_below(folder: Path, unread: Unread) -> list[Path]:
    """The images in a folder, however deep, sorted. What is not read is added to `unread`."""
    paths = []
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        left = [name for name in folders if is_left_behind(name)]
        unread.left_behind += [f"{unread.name(Path(parent, name))}/" for name in left]
        folders[:] = [name for name in folders if name not in left and not _leads_back(parent, name)]
        for name in names:
            path = Path(parent, name)
            if is_left_behind(name):
                unread.left_behind.append(unread.name(path))
            elif path.suffix.lower() in SUFFIXES or (format_name := format_of(path)) in readable_formats():
                paths.append(path)
            else:
                unread.add_file(path, format_name)
    return sorted(paths)


def _leads_back(parent: str, name: str) -> bool:
    """Whether a linked folder leads to one that it lies in."""
    path = os.path.join(parent, name)
    return os.path.islink(path) and f"{os.path.realpath(parent)}/".startswith(f"{os.path.realpath(path)}/")


def _raise(error: OSError) -> None:
    raise error


def _read(folder: Path, tree: Tree) -> Contents:
    classes = tuple(tree["train"])
    for part, files in tree.items():
        if extra := sorted(set(files) - set(classes)):
            rule = f"{folder}: the {part} part must have the classes of the train part, got '{extra[0]}' too"
            raise DataError(f"{rule}; move or remove it")
    return Contents(str(folder), classes, {part: _part(folder, files, classes) for part, files in tree.items()})


def _read_groups(folder: Path, listing: Listing, group: str) -> Contents:
    """The contents with the group of each image, by its path below its class folder."""
    contents, group_of = _read(folder, listing.tree), path_rule(group)
    paths = {
        part: [
            path.relative_to(listing.folders[part][name]).as_posix()
            for name in contents.classes
            for path in listing.tree[part].get(name, [])
        ]
        for part in contents.parts
    }
    names = {part: [group_of(path) for path in of_part] for part, of_part in paths.items()}
    if not any(name for of_part in names.values() for name in of_part):
        example = printable(paths["train"][0], keep="")
        if group == FOLDER:
            rule = f"{folder}: data.group: no image lies in a folder below that of its class, such as '{example}'"
            raise DataError(f"{rule}; put the images of a group into one, or write a regular expression")
        rule = f"{folder}: data.group: '{printable(group, keep='')}' is found in no path of an image below its class folder"
        raise DataError(f"{rule}, such as '{example}'; write an expression that is")
    return with_groups(contents, names)


def _part(folder: Path, files: dict[str, list[Path]], classes: tuple[str, ...]) -> EncodedPart:
    labels = [label for label, name in enumerate(classes) for _ in files.get(name, [])]
    paths = [path for name in classes for path in files.get(name, [])]

    def images() -> Iterator[EncodedImage]:
        return (EncodedImage(printable(path.relative_to(folder).as_posix(), keep=""), path) for path in paths)

    return EncodedPart(np.array(labels, np.int64), images)
