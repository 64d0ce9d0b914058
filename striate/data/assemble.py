"""From the contents of a source to its parts: decoded, in canonical order, with a test part.

`store` decides where pixels are kept: given a name and chunks of images, it returns them as one array, in memory or
mapped from a file. A name that begins with `raw-` is needed only until `assemble` returns.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data.canonical_order import HashedPart, argsort_by_hash, hash_images
from striate.data.contents import (
    Contents,
    DecodedDataset,
    SourcePart,
    absent_classes,
    check_contents,
    check_every_class,
)
from striate.data.dataset import DataConfig, Images
from striate.data.decode import Decoder
from striate.data.picture import FULL_BITS
from striate.data.sources import cifar10
from striate.data.splits import class_quotas, draw_stratified
from striate.data.unread import listed

Store = Callable[[str, Iterator[Images]], Images]
TEST_SHARE = 0.2  # of each class, if the source has no test part
CHUNK = 512  # images copied at once


def store_in_memory(_name: str, chunks: Iterator[Images]) -> Images:
    """The `store` that writes nothing."""
    return np.concatenate(list(chunks))


def assemble(contents: Contents, config: DataConfig, store: Store) -> DecodedDataset:
    """Decode every part and put it in canonical order.

    Raises:
        DataError: for labels, classes or images that do not fit together.
    """
    check_contents(contents)
    contents, is_cifar10 = cifar10.recognize(contents)
    contents = _use_validation_as_test(contents)
    raw, decoder = _decode_parts(contents, config, store)
    check_every_class(contents.location, contents.classes, {name: part.labels for name, part in raw.items()})
    rows = {name: argsort_by_hash(part.labels, part.hashes) for name, part in raw.items()}
    notes = contents.notes
    if "test" not in raw:
        sorted_labels = raw["train"].labels[rows["train"]]
        test = _test_positions(contents, sorted_labels)
        train = np.setdiff1d(np.arange(len(sorted_labels)), test)
        raw["test"], rows["test"], rows["train"] = raw["train"], rows["train"][test], rows["train"][train]
        note = f"the source has no test part: a fixed {TEST_SHARE * 100:.0f} % of it is held out as the test part"
        notes = (*notes, note)
    notes = (*notes, *_absent_notes(contents.classes, raw), *decoder.notes())
    parts = {name: _reorder(name, part, rows[name], store) for name, part in raw.items()}
    return DecodedDataset(contents.classes, parts, notes, is_cifar10, decoder.bits if decoder.deep_images else None)


def _use_validation_as_test(contents: Contents) -> Contents:
    """If a source has only train and validation, the latter is used as the test part, so that no decision rests on it."""
    if "test" in contents.parts or "validation" not in contents.parts:
        return contents
    parts = {"train": contents.parts["train"], "test": contents.parts["validation"]}
    note = "the source has no test part: its validation part is the test part"
    return replace(contents, parts=parts, notes=(*contents.notes, note))


def _decode_parts(contents: Contents, config: DataConfig, store: Store) -> tuple[dict[str, HashedPart], Decoder]:
    """Every part in the order of the source. Images of 16 bits a channel are decoded again if they use few of them."""
    decoder = Decoder(config)
    raw = _decode_with(decoder, contents, store, "raw")
    if decoder.bits_needed < FULL_BITS:
        decoder = Decoder(config, decoder.bits_needed)
        raw = _decode_with(decoder, contents, store, "raw-again")
    return raw, decoder


def _decode_with(decoder: Decoder, contents: Contents, store: Store, prefix: str) -> dict[str, HashedPart]:
    with decoder:
        raw = {name: _decode(decoder, part, store, f"{prefix}-{name}") for name, part in contents.parts.items()}
    decoder.check_broken()
    for name, part in raw.items():
        if part is None:
            rule = f"{contents.location}, {name} part: no image could be read"
            raise DataError(f"{rule}; the first broken is {decoder.broken[0].name}")
    return {name: part for name, part in raw.items() if part is not None}


def _decode(decoder: Decoder, part: SourcePart, store: Store, stored_as: str) -> HashedPart | None:
    """None if no image could be read."""
    labels: list[NDArray[np.int64]] = []
    hashes: list[NDArray[np.uint8]] = []
    chunks = decoder.chunks(part)
    first = next(chunks, None)
    if first is None:
        return None

    def images() -> Iterator[Images]:
        chunk, chunk_labels = first
        while True:
            labels.append(chunk_labels)
            hashes.append(hash_images(chunk))
            yield chunk
            following = next(chunks, None)
            if following is None:
                return
            chunk, chunk_labels = following

    return HashedPart(store(stored_as, images()), np.concatenate(labels), np.concatenate(hashes))


def _absent_notes(classes: tuple[str, ...], parts: Mapping[str, HashedPart]) -> Iterator[str]:
    for name, part in parts.items():
        if absent := absent_classes(classes, part.labels):
            names = listed([f"'{label}'" for label in absent])
            yield f"the {name} part has no images of {names}: no score there for {'it' if len(absent) == 1 else 'them'}"


def _test_positions(contents: Contents, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the test part in canonical order. They depend on the images only, so every study shares them."""
    counts = np.bincount(labels, minlength=len(contents.classes))
    if counts.min() < 2:
        name = contents.classes[int(counts.argmin())]
        rule = f"{contents.location}: class '{name}' has 1 image, and the test part takes one of each class"
        raise DataError(f"{rule}; add images of it or give the source a test part")
    quotas = class_quotas(counts, round(TEST_SHARE * len(labels)), np.ones_like(counts), counts - 1)
    return draw_stratified(labels, quotas, stream(0, "test part"))


def _reorder(name: str, part: HashedPart, rows: NDArray[np.int64], store: Store) -> HashedPart:
    images = store(name, (part.images[rows[i : i + CHUNK]] for i in range(0, len(rows), CHUNK)))
    return HashedPart(images, part.labels[rows], part.hashes[rows])
