"""CIFAR-10 known by its pixels, in whatever format and order it comes.

Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Some parquet copies carry no class names;
what equals CIFAR-10 gets them, and what claims to be CIFAR-10 can be checked.
"""

from dataclasses import replace

import numpy as np

from striate.core.errors import DataError
from striate.data.canonical_order import Hashed, digest, hashes, order
from striate.data.config import DataConfig
from striate.data.decode import Decoder
from striate.data.sources.contents import Contents, Decoded, Rows

# The digest, without class names, of 50,000 and 10,000 images; of parquet files decoded by Pillow alone.
KNOWN = "c03ca73034cbde0639916d40739481b95ec3e37422ad2a70ff869fcd5b4f0dbf"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZES = {"train": 50_000, "test": 10_000}
SHAPE = (32, 32, 3)


def recognized(contents: Contents) -> tuple[Contents, bool]:
    """The contents decoded and with the class names, and True, if they are CIFAR-10; else as they came, and False."""
    if {name: len(rows.labels) for name, rows in contents.parts.items()} != SIZES:
        return contents, False
    try:
        parts = {name: _native(rows) for name, rows in contents.parts.items()}
    except DataError:
        return contents, False  # a broken image or another shape: what is wrong is said by whoever decodes it next
    if digest((), parts) != KNOWN:
        return contents, False
    rows = {name: Decoded(part.labels, part.images) for name, part in parts.items()}
    return replace(contents, classes=CLASSES, parts=rows), True


def _native(rows: Rows) -> Hashed:
    """The rows as they are, in order, if they are small color images."""
    with Decoder(DataConfig(source="cifar10")) as decoder:
        # A look before the whole: another source of as many images may not fit in memory.
        first, _ = next(iter(decoder.chunks(rows)))
        if first.shape[1:] != SHAPE:
            raise DataError(f"CIFAR-10 has images of 32 x 32 in color, got {first.shape[1:]}")
        images, labels = zip(*decoder.chunks(rows), strict=True)
    whole = Hashed(np.concatenate(images), np.concatenate(labels), np.concatenate([hashes(chunk) for chunk in images]))
    return whole.pick(order(whole.labels, whole.hashes))
