"""The order of images, and the digest of a dataset, decided by the pixels alone.

A folder sorts by file name, parquet by row and an archive by batch. Were that order kept, one dataset in two formats
would give two runs. So the images of a part are sorted by their SHA-256 and then by label; equal ones may swap unseen.
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
class Hashed:
    """A part with the SHA-256 of each image, N x 32."""

    images: Images
    labels: Labels
    hashes: NDArray[np.uint8]

    def pick(self, rows: NDArray[np.int64]) -> "Hashed":
        """These rows only, copied into memory."""
        return Hashed(self.images[rows], self.labels[rows], self.hashes[rows])


def hashes(images: Images) -> NDArray[np.uint8]:
    """SHA-256 of the pixels of each image."""
    joined = b"".join(hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images)
    return np.frombuffer(joined, np.uint8).reshape(-1, 32)


def order(labels: Labels, hashed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The rows sorted by hash, then by label."""
    words = np.ascontiguousarray(hashed).view(">u8")  # four a hash
    # lexsort takes its last key as the first to sort by.
    return np.lexsort((labels, words[:, 3], words[:, 2], words[:, 1], words[:, 0]))


def digest(classes: tuple[str, ...], parts: Mapping[str, Hashed]) -> str:
    """What the dataset is, in 64 hexadecimal digits. Cheap: the images were hashed before."""
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


def shared(one: Hashed, other: Hashed) -> int:
    """How many images of `other` are, pixel by pixel, also in `one`."""
    known = {row.tobytes() for row in one.hashes}
    return sum(row.tobytes() in known for row in other.hashes)
