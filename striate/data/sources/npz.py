"""Arrays in one .npz file: images as whole numbers 0 to 255, labels as whole numbers from 0.

Pickles are refused, and so are floating-point images: whether 1.0 is white or nearly black cannot be told from them.
"""

import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.data.dataset import Images, Labels
from striate.data.sources.contents import Contents, Decoded, Found

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


def find(path: Path) -> Found:
    """The file."""
    return Found(path.resolve().stem, str(path), (path,), partial(_read, path))


def _read(path: Path) -> Contents:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: cannot be read as an .npz of plain arrays ({reason}); write it with numpy.savez"
        ) from error
    parts = {part: _rows(path, arrays, *keys) for part, keys in _layout(path, arrays).items()}
    count = int(parts["train"].labels.max(initial=-1)) + 1
    if count > len(parts["train"].labels) > 0:
        rule = f"{path}: labels must be 0, 1, ... with images of each"
        raise DataError(f"{rule}, got {count - 1} among {len(parts['train'].labels)} images; number the classes from 0")
    names = arrays.get("class_names", np.arange(count))
    if np.ndim(names) != 1 or len(set(map(str, names))) < len(names):
        raise DataError(f"{path}: class_names must be a list of different names, got {names!r}")
    return Contents(str(path), tuple(str(name) for name in names), parts)


def _layout(path: Path, arrays: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The parts that the file has, with their keys."""
    for layout in LAYOUTS:
        present = {part: keys for part, keys in layout.items() if any(key in arrays for key in keys)}
        if "train" in present:
            if missing := [key for keys in present.values() for key in keys if key not in arrays]:
                raise DataError(f"{path}: the key {missing[0]} is missing, got {', '.join(arrays)}; add it")
            return present
    wanted = "; or ".join(", ".join(key for keys in layout.values() for key in keys) for layout in LAYOUTS)
    raise DataError(f"{path}: needs the keys {wanted}; got {', '.join(arrays) or 'none'}")


def _rows(path: Path, arrays: Mapping[str, Any], images_key: str, labels_key: str) -> Decoded:
    images = _images(f"{path}: {images_key}", arrays[images_key])
    labels = _labels(f"{path}: {labels_key}", arrays[labels_key])
    if len(images) != len(labels):
        rule = f"{path}: {images_key} and {labels_key} must have one length"
        raise DataError(f"{rule}, got {len(images)} and {len(labels)}; save them together")
    return Decoded(labels, images)


def _images(where: str, images: NDArray[Any]) -> Images:
    """Uint8, N x H x W x C."""
    if not np.issubdtype(images.dtype, np.integer):
        cure = "if white is 1.0, save (images * 255).round().astype('uint8')"
        raise DataError(f"{where}: pixels must be whole numbers 0 to 255, got {images.dtype}; {cure}")
    if images.size and (images.min() < 0 or images.max() > 255):
        got = f"{images.min()} to {images.max()}"
        raise DataError(f"{where}: pixels must be whole numbers 0 to 255, got {got}; scale them and save as uint8")
    pixels = images.astype(np.uint8, copy=False)
    if pixels.ndim == 3:
        return pixels[..., None]
    if pixels.ndim == 4 and pixels.shape[3] in (1, 3):
        return pixels
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3):
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    shape = " x ".join(map(str, images.shape))
    raise DataError(
        f"{where}: must be N x H x W, N x H x W x C or N x C x H x W with C 1 or 3, got {shape}; transpose it"
    )


def _labels(where: str, labels: NDArray[Any]) -> Labels:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # as Keras and MedMNIST keep them
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        got = f"{labels.dtype} of {labels.ndim} dimensions"
        raise DataError(f"{where}: must be one whole number an image, got {got}; save the class numbers")
    return labels.astype(np.int64)
