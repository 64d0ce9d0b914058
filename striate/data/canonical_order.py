"""The order of images and the digest of a dataset, both decided by the pixels alone.

Folders sort by file name, parquet by row and archives by batch, so one dataset in two formats would give two different
runs. Therefore the images of a part are sorted by their SHA-256, then by label.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate.data.dataset import Images, Labels

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class HashedPart:
    """The images of a part, their labels and the SHA-256 of each image, N x 32."""

    images: Images
    labels: Labels
    hashes: NDArray[np.uint8]

    def select(self, rows: NDArray[np.int64]) -> "HashedPart":
        """These rows only, copied into memory."""
        return HashedPart(self.images[rows], self.labels[rows], self.hashes[rows])


def hash_images(images: Images) -> NDArray[np.uint8]:
    """The SHA-256 of the pixels of each image, N x 32."""
    joined = b"".join(hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images)
    return np.frombuffer(joined, np.uint8).reshape(-1, 32)


def argsort_by_hash(labels: Labels, hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The rows sorted by hash, then by label."""
    words = np.ascontiguousarray(hashes).view(">u8")  # four words a hash
    # lexsort sorts by its last key first.
    return np.lexsort((labels, words[:, 3], words[:, 2], words[:, 1], words[:, 0]))


def dataset_digest(classes: tuple[str, ...], parts: Mapping[str, HashedPart]) -> str:
    """The SHA-256 of shape, class names, labels and image hashes, in hexadecimal. Cheap: pixels are not read again."""
    total = hashlib.sha256()
    shape = parts["train"].images.shape[1:]
    total.update(json.dumps(["striate dataset 1", shape, classes], ensure_ascii=True).encode())
    for name in PARTS:
        if name in parts:
            part = parts[name]
            total.update(f"{name} {len(part.labels)};".encode())
            total.update(part.labels.astype("<i8").tobytes())
            total.update(part.hashes.tobytes())
    return total.hexdigest()


def count_shared_images(part: HashedPart, other: HashedPart) -> int:
    """How many images of `other` are also in `part`, pixel by pixel."""
    hashes = {row.tobytes() for row in part.hashes}
    return sum(row.tobytes() in hashes for row in other.hashes)


def first_copies(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each row of a part in canonical order, the first row with the same pixels: the row itself without a copy."""
    rows = np.arange(len(hashes))
    if len(hashes) < 2:
        return rows
    is_copy = np.append(False, (hashes[1:] == hashes[:-1]).all(1))
    return np.maximum.accumulate(np.where(is_copy, 0, rows))


def two_labels(parts: Mapping[str, HashedPart]) -> list[tuple[int, int]]:
    """The first two labels of each image that has more than one, all parts together."""
    labels = np.concatenate([part.labels for part in parts.values()])
    hashes = np.concatenate([part.hashes for part in parts.values()])
    order = argsort_by_hash(labels, hashes)
    labels, first = labels[order], first_copies(hashes[order])
    differs = np.flatnonzero((first[1:] == first[:-1]) & (labels[1:] != labels[:-1]))
    found: dict[int, tuple[int, int]] = {}
    for row in differs:
        found.setdefault(int(first[row]), (int(labels[row]), int(labels[row + 1])))
    return list(found.values())
