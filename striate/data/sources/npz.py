"""Arrays in one .npz file: images as whole numbers 0 to 255, labels as whole numbers from 0.

The words of a key say part and kind: `x_train`, `val_images`, `TestLabels`, `images`; for groups that are called `film`,
`film_train`. Pickles are refused. So are floating-point images: it cannot be told from them whether 1.0 is white or nearly
black.
"""

import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.records import printable
from striate.data.contents import ArrayPart, Contents, Source, numbered_classes, to_labels, with_groups
from striate.data.dataset import Images, Labels
from striate.data.part_names import WORDS, words
from striate.data.unread import listed

# Keras' names, MedMNIST's, and a plain pair; shown where a file has none of them.
LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    ("images", "labels"),
)
PARTNERS = {"x": "y", "images": "labels", "image": "label", "imgs": "labels", "img": "label", "data": "labels"}
LABEL_WORDS = {"y": "x", "labels": "images", "label": "image", "targets": "images", "target": "image"}
CLASS_NAMES = "class_names"
Arrays = Mapping[str, NDArray[Any]]


def find(path: Path) -> Source:
    """The source in an .npz file, which is not opened yet."""
    # Reading arrays again is cheap, and older versions passed over keys that this one reads.
    read = partial(_read, path)
    return Source(path.resolve().stem, str(path), (path,), read, is_outdated=lambda _: True, read_groups=read)


def _read(path: Path, group: str | None = None) -> Contents:
    arrays = _read_arrays(path)
    keys = _part_keys(path, arrays)
    parts = {part: _part(path, arrays, *keys[part]) for part in keys}
    group_keys = {} if group is None else _group_keys(path, arrays, keys, group)
    used = {CLASS_NAMES, *(key for pair in keys.values() for key in pair), *group_keys.values()}
    unread = [printable(key, keep="") for key in arrays if key not in used]
    notes = (f"arrays not read: {listed(unread)}",) if unread else ()
    names = arrays.get(CLASS_NAMES)
    classes = numbered_classes(str(path), parts["train"].labels) if names is None else _class_names(path, names)
    contents = Contents(str(path), classes, parts, notes)
    if group is None:
        return contents
    counts = {part: len(parts[part].labels) for part in keys}
    groups = {part: _group_names(f"{path}: {key}", arrays[key], counts[part]) for part, key in group_keys.items()}
    return with_groups(contents, groups)


def _group_keys(path: Path, arrays: Arrays, keys: Mapping[str, tuple[str, str]], group: str) -> dict[str, str]:
    """By part, the key of the groups: its words are those of `group` and, as in the key of the images, of the part.

    Raises:
        DataError: for a part that has none, or two.
    """
    if len(keys) == 1 and group in arrays:
        return dict.fromkeys(keys, group)
    kind, name, found = _kind_and_parts(group)[0], printable(group, keep=""), {}
    for part, (images_key, _) in keys.items():
        wanted = (kind, _kind_and_parts(images_key)[1])
        fitting = [key for key in arrays if kind and _kind_and_parts(key) == wanted]
        if len(fitting) != 1:
            got = listed([printable(key, keep="") for key in fitting or arrays])
            cure = "keep one of them" if fitting else f"add '{'_'.join([name, *wanted[1]])}' or name others"
            raise DataError(f"{path}: data.group: '{name}' must name one array of the {part} part, got {got}; {cure}")
        found[part] = fitting[0]
    return found


def _kind_and_parts(key: str) -> tuple[list[str], list[str]]:
    """The words of a key that say what it holds, and the parts that the others say."""
    return [w for w in words(key) if w not in WORDS], [WORDS[w] for w in words(key) if w in WORDS]


def _group_names(location: str, groups: NDArray[Any], count: int) -> list[str]:
    """The group of each image as text."""
    if groups.ndim == 2 and groups.shape[1] == 1:
        groups = groups[:, 0]
    if groups.ndim != 1 or groups.dtype.kind not in "iuUS":
        rule = f"{location}: data.group: must be one whole number or word an image, got {groups.dtype} of {groups.ndim} dimensions"
        raise DataError(f"{rule}; save such an array")
    if len(groups) != count:
        rule = f"{location}: data.group: must have one value for each of the {count} images, got {len(groups)}"
        raise DataError(f"{rule}; save them together")
    return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in groups.tolist()]


def _read_arrays(path: Path) -> Arrays:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # AttributeError: a single array is no archive. MemoryError: also a header that claims an impossible shape.
    except (
        *(OSError, ValueError, EOFError, TypeError, AttributeError, NotImplementedError, MemoryError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: cannot be read as an .npz of plain arrays ({reason}); write it with numpy.savez"
        ) from error


def _class_names(path: Path, names: NDArray[Any]) -> tuple[str, ...]:
    rule = f"{path}: class_names must be a list of different names"
    if np.ndim(names) != 1:
        raise DataError(f"{rule}, got {names!r}; save such a list")
    try:
        texts = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
    except UnicodeDecodeError as error:
        raise DataError(f"{rule}, got bytes that are not UTF-8 ({error.object!r}); save them as text") from error
    if len(set(texts)) < len(texts):
        raise DataError(f"{rule}, got {names!r}; save such a list")
    return texts


def _part_keys(path: Path, arrays: Arrays) -> dict[str, tuple[str, str]]:
    """The parts that the file has, with their keys of images and labels.

    Raises:
        DataError: for a part without images, labels or training images, for two of a kind, and for images of no part.
    """
    images, labels = _keys_by_part(path, arrays, PARTNERS), _keys_by_part(path, arrays, LABEL_WORDS)
    parts = {part: (key, labels.get(part, "")) for part, key in images.items()}
    parts |= {part: ("", key) for part, key in labels.items() if part and part not in images}
    if "" in parts:
        if "train" in parts:
            rule = f"{path}: '{images['']}' belongs to no part"
            raise DataError(f"{rule}; name it after train, validation or test, or take it out")
        parts = {"train" if part == "" else part: keys for part, keys in parts.items()}
    if "train" not in parts:
        layouts = "; or ".join(", ".join(layout) for layout in LAYOUTS)
        raise DataError(f"{path}: needs the keys {layouts}; got {', '.join(arrays) or 'none'}")
    _check_complete(path, arrays, parts)
    _refuse_others(path, arrays, {key for keys in parts.values() for key in keys})
    return {part: parts[part] for part in ("train", "validation", "test") if part in parts}


def _keys_by_part(path: Path, arrays: Arrays, kinds: Mapping[str, str]) -> dict[str, str]:
    """Keys whose words are one of `kinds` and at most one part; the part is "" where none is said."""
    found: dict[str, str] = {}
    for key in arrays:
        others = [word for word in words(key) if word not in kinds]
        if key == CLASS_NAMES or len(words(key)) - len(others) != 1 or any(word not in WORDS for word in others):
            continue
        if len(others) > 1:
            continue
        part = WORDS[others[0]] if others else ""
        if part in found:
            rule = f"{path}: '{found[part]}' and '{key}' are both of its {part or 'only'} part"
            raise DataError(f"{rule}; keep one of them")
        found[part] = key
    return found


def _check_complete(path: Path, arrays: Arrays, parts: Mapping[str, tuple[str, str]]) -> None:
    for images_key, labels_key in parts.values():
        if not images_key or not labels_key:
            present = images_key or labels_key
            missing = _partner(present)
            raise DataError(f"{path}: the key {missing} is missing, got {', '.join(arrays)}; add it")


def _partner(key: str) -> str:
    """The key of the labels that belong to images, or the other way round."""
    pairs = {**PARTNERS, **LABEL_WORDS}
    word = next(word for word in words(key) if word in pairs)
    start = key.lower().index(word)
    return key[:start] + pairs[word] + key[start + len(word) :]


def _refuse_others(path: Path, arrays: Arrays, used: set[str]) -> None:
    """Refuse images under a key that names no part known here."""
    for key, array in arrays.items():
        is_images = array.ndim >= 3 and array.dtype.kind in "iu" and any(word in PARTNERS for word in words(key))
        if key not in used and is_images:
            rule = f"{path}: '{printable(key, keep='')}' belongs to no part"
            raise DataError(f"{rule}; name it after train, validation or test, or take it out")


def _part(path: Path, arrays: Arrays, images_key: str, labels_key: str) -> ArrayPart:
    images = _images(f"{path}: {images_key}", arrays[images_key])
    labels = _labels(f"{path}: {labels_key}", arrays[labels_key])
    if len(images) != len(labels):
        rule = f"{path}: {images_key} and {labels_key} must have one length, got {len(images)} and {len(labels)}"
        raise DataError(f"{rule}; save them together")
    return ArrayPart(labels, images)


def _images(location: str, images: NDArray[Any]) -> Images:
    """Uint8, N x H x W x C."""
    rule = f"{location}: pixels must be whole numbers 0 to 255"
    if not np.issubdtype(images.dtype, np.integer):
        cure = "if white is 1.0, save (images * 255).round().astype('uint8')"
        raise DataError(f"{rule}, got {images.dtype}; {cure}")
    if images.size and (images.min() < 0 or images.max() > 255):
        raise DataError(f"{rule}, got {images.min()} to {images.max()}; scale them and save as uint8")
    pixels = images.astype(np.uint8, copy=False)
    if pixels.ndim == 3:
        return pixels[..., None]
    if pixels.ndim == 4 and pixels.shape[3] in (1, 3):
        return pixels
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3):
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    shape = " x ".join(map(str, images.shape))
    rule = f"{location}: must be N x H x W, N x H x W x C or N x C x H x W with C 1 or 3"
    raise DataError(f"{rule}, got {shape}; transpose it")


def _labels(location: str, labels: NDArray[Any]) -> Labels:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # as in Keras and MedMNIST
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        rule = f"{location}: must be one whole number an image, got {labels.dtype} of {labels.ndim} dimensions"
        raise DataError(f"{rule}; save the class numbers")
    return to_labels(labels)
