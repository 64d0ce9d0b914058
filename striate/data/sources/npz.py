"""Arrays in one .npz file: images as whole numbers 0 to 255, labels as whole numbers from 0.

Pickles are refused. So are floating-point images: it cannot be told from them whether 1.0 is white or nearly black.
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
from striate.data.contents import ArrayPart, Contents, Source, numbered_classes, to_labels
from striate.data.dataset import Images, Labels

# Keras' names, MedMNIST's, and a plain pair: part -> keys of images and labels.
LAYOUTS = (
    {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")},
    {
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
    {"train": ("images", "labels")},
)
Arrays = Mapping[str, NDArray[Any]]


def find(path: Path) -> Source:
    """The source in an .npz file, which is not opened yet."""
    return Source(path.resolve().stem, str(path), (path,), partial(_read, path))


def _read(path: Path) -> Contents:
    arrays = _read_arrays(path)
    parts = {part: _part(path, arrays, *keys) for part, keys in _part_keys(path, arrays).items()}
    if "class_names" not in arrays:
        return Contents(str(path), numbered_classes(str(path), parts["train"].labels), parts)
    names = arrays["class_names"]
    if np.ndim(names) != 1 or len(set(map(str, names))) < len(names):
        raise DataError(f"{path}: class_names must be a list of different names, got {names!r}; save such a list")
    return Contents(str(path), tuple(str(name) for name in names), parts)


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


def _part_keys(path: Path, arrays: Arrays) -> dict[str, tuple[str, str]]:
    """The parts that the file has, with their keys."""
    for layout in LAYOUTS:
        present = {part: keys for part, keys in layout.items() if any(key in arrays for key in keys)}
        if "train" in present:
            if missing := [key for keys in present.values() for key in keys if key not in arrays]:
                raise DataError(f"{path}: the key {missing[0]} is missing, got {', '.join(arrays)}; add it")
            return present
    layouts = "; or ".join(", ".join(key for keys in layout.values() for key in keys) for layout in LAYOUTS)
    raise DataError(f"{path}: needs the keys {layouts}; got {', '.join(arrays) or 'none'}")


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
