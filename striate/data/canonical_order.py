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
from striate.data.groups import renumber

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class HashedPart:
    """The images of a part, their labels, the SHA-256 of each image, N x 32, and the number of its group if that is known."""

    images: Images
    labels: Labels
    hashes: NDArray[np.uint8]
    groups: Labels | None = None

    def select(self, rows: NDArray[np.int64]) -> "HashedPart":
        """These rows only, copied into memory."""
        groups = None if self.groups is None else self.groups[rows]
        return HashedPart(self.images[rows], self.labels[rows], self.hashes[rows], groups)

    def canonical_rows(self) -> NDArray[np.int64]:
        """The rows in canonical order. Of copies with one label, those of the same groups come in the same order everywhere."""
        rows = argsort_by_hash(self.labels, self.hashes)
        if self.groups is None:
            return rows
        rank = _rank_by_content(self.groups[rows], self.labels[rows], self.hashes[rows])
        return rows[np.lexsort((rank, self.labels[rows], first_copies(self.hashes[rows])))]


def _rank_by_content(groups: Labels, labels: Labels, hashes: NDArray[np.uint8]) -> Labels:
    """For each row, the rank of its group by the images in it. The rows are sorted by hash and label."""
    numbers = renumber(groups)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers))[:-1]
    names = [
        hashlib.sha256(hashes[rows].tobytes() + labels[rows].astype("<i8").tobytes()).digest()
        for rows in np.split(order, ends)
    ]
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank[numbers]


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
    """The SHA-256 of shape, class names, labels, image hashes and groups, in hexadecimal. Cheap: pixels are not read again.

    Groups are those of the train part, where they decide the splits.
    """
    total = hashlib.sha256()
    shape = parts["train"].images.shape[1:]
    total.update(json.dumps(["striate dataset 1", shape, classes], ensure_ascii=True).encode())
    for name in PARTS:
        if name in parts:
            part = parts[name]
            total.update(f"{name} {len(part.labels)};".encode())
            total.update(part.labels.astype("<i8").tobytes())
            total.update(part.hashes.tobytes())
    if (groups := parts["train"].groups) is not None:
        total.update(b"groups;" + renumber(groups).astype("<i8").tobytes())
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
