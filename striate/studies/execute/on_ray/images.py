"""Images of a study in Ray's object store: put there once, mapped by every process of a node, and checked where they arrive."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from striate.core.errors import DataError
from striate.core.records import fingerprint
from striate.data import DataConfig, Dataset, Part
from striate.data.canonical_order import HashedPart, dataset_digest, hash_images

# A dataset as plain values and arrays, which are mapped from the object store and not copied.
Packed = Mapping[str, Any]


def key(config: DataConfig) -> str:
    """Equal for configs of the same images, however they are split."""
    return fingerprint(config.replace(validation=0.1), config.source)


def pack(dataset: Dataset) -> Packed:
    parts = {"train": dataset.train, "test": dataset.open_test("to send it to the nodes of the cluster")}
    if dataset.validation is not None:
        parts["validation"] = dataset.validation
    return {
        "name": dataset.name,
        "classes": dataset.classes,
        "digest": dataset.digest,
        "notes": dataset.notes,
        "bits": dataset.bits,
        "copy_of": dataset.copy_of,
        "groups": dataset.groups,
        # Plain arrays, because a memory map would be sent as the path of its file.
        "parts": {name: (part.images.view(np.ndarray), part.labels.view(np.ndarray)) for name, part in parts.items()},
    }


def unpack(packed: Packed) -> Dataset:
    """The dataset, as it was on the machine that sent it.

    Raises:
        DataError: when its digest is another.
    """
    parts = {name: Part(images, labels) for name, (images, labels) in packed["parts"].items()}
    return _unpack(_Once(packed, parts))


class _Once:
    """What one process has checked already, so that its next run does not hash the images again."""

    def __init__(self, packed: Packed, parts: Mapping[str, Part]) -> None:
        self.packed, self.parts = packed, parts
        images = [(name, part.images.__array_interface__["data"][0]) for name, part in sorted(parts.items())]
        self._key = (packed["digest"], packed["name"], tuple(images))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once) and self._key == other._key


@lru_cache(maxsize=2)
def _unpack(once: _Once) -> Dataset:
    packed, parts = once.packed, once.parts
    hashed = {name: HashedPart(part.images, part.labels, hash_images(part.images)) for name, part in parts.items()}
    hashed["train"] = replace(hashed["train"], groups=packed["groups"])
    digest = dataset_digest(packed["classes"], hashed)
    if digest != packed["digest"]:
        raise DataError(
            f"{packed['name']}: the images that arrived on this node are not those that were sent (SHA-256); "
            "run the same command again"
        )
    return Dataset(
        name=packed["name"],
        classes=packed["classes"],
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts["test"],
        digest=digest,
        notes=packed["notes"],
        copy_of=packed["copy_of"],
        groups=packed["groups"],
        bits=packed["bits"],
    )
