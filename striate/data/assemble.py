"""From the contents of a source to its parts: decoded, in canonical order, with a test part.

`store` decides where pixels are kept: given a name and chunks of images, it returns them as one array, in memory or
mapped from a file. A name that begins with `raw-` is needed only until `assemble` returns.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.records import printable
from striate.core.seeds import stream
from striate.data.canonical_order import HashedPart, hash_images
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
from striate.data.draw_groups import draw_groups, groups_of_classes
from striate.data.groups import renumber
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
    rows = {name: part.canonical_rows() for name, part in raw.items()}
    notes = contents.notes
    if "test" not in raw:
        whole, order = raw["train"], rows["train"]
        groups = None if whole.groups is None else renumber(whole.groups[order])
        test = _test_positions(contents, whole.labels[order], groups, config.group)
        raw["test"], rows["test"], rows["train"] = whole, order[test], np.delete(order, test)
        share = (
            f"{TEST_SHARE * 100:.0f} % of it" if groups is None else f"{_percent(test, order)} of it, in whole groups,"
        )
        notes = (*notes, f"the source has no test part: a fixed {share} is held out as the test part")
    notes = (*notes, *_absent_notes(contents.classes, raw), *decoder.notes())
    parts = {name: _reorder(name, part, rows[name], store) for name, part in raw.items()}
    if config.group is not None:
        parts, group_notes = _number_groups(parts, config.group)
        notes = (*notes, *group_notes)
    return DecodedDataset(contents.classes, parts, notes, is_cifar10, decoder.bits if decoder.deep_images else None)


def drawn_parts(parts: Container[str]) -> tuple[str, ...]:
    """The parts that are drawn from the train part of a source that has these."""
    if "validation" in parts:
        return () if "test" in parts else ("validation",)
    return ("validation",) if "test" in parts else ("validation", "test")


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
    rows: list[NDArray[np.int64]] = []
    hashes: list[NDArray[np.uint8]] = []
    chunks = decoder.chunks(part)
    first = next(chunks, None)
    if first is None:
        return None

    def images() -> Iterator[Images]:
        chunk, chunk_rows = first
        while True:
            rows.append(chunk_rows)
            hashes.append(hash_images(chunk))
            yield chunk
            following = next(chunks, None)
            if following is None:
                return
            chunk, chunk_rows = following

    stored = store(stored_as, images())
    read = np.concatenate(rows)
    groups = None if part.groups is None else part.groups[read]
    return HashedPart(stored, part.labels[read], np.concatenate(hashes), groups)


def _absent_notes(classes: tuple[str, ...], parts: Mapping[str, HashedPart]) -> Iterator[str]:
    for name, part in parts.items():
        if absent := absent_classes(classes, part.labels):
            names = listed([f"'{label}'" for label in absent])
            yield f"the {name} part has no images of {names}: no score there for {'it' if len(absent) == 1 else 'them'}"


def _percent(part: NDArray[np.int64], whole: NDArray[np.int64]) -> str:
    return f"{100 * len(part) / len(whole):.1f} %"


def _number_groups(parts: Mapping[str, HashedPart], group: str) -> tuple[dict[str, HashedPart], tuple[str, ...]]:
    """The groups numbered over all parts by their first image, and a note about them."""
    first, *others = [part.groups for part in parts.values() if part.groups is not None]
    together = np.concatenate([first, *others])
    numbers = renumber(together)
    ends = np.cumsum([len(part.labels) for part in parts.values()])[:-1]
    numbered = {
        name: replace(part, groups=groups)
        for (name, part), groups in zip(parts.items(), np.split(numbers, ends), strict=True)
    }
    alone = int((together < 0).sum())
    count = int(numbers.max()) + 1
    note = f"{count:,} group{'s' * (count != 1)} of images by data.group: {printable(group, keep='')}"
    if alone:
        note += f"; {alone:,} image{' is in none and counts' if alone == 1 else 's are in none and count'} as one each"
    return numbered, (note,)


def _test_positions(
    contents: Contents, labels: NDArray[np.int64], groups: NDArray[np.int64] | None, group: str | None
) -> NDArray[np.int64]:
    """Positions of the test part in canonical order. They depend on the images only, so every study shares them."""
    counts = np.bincount(labels, minlength=len(contents.classes))
    if counts.min() < 2:
        name = contents.classes[int(counts.argmin())]
        rule = f"{contents.location}: class '{name}' has 1 image, and the test part takes one of each class"
        raise DataError(f"{rule}; add images of it or give the source a test part")
    quotas = class_quotas(counts, round(TEST_SHARE * len(labels)), np.ones_like(counts), counts - 1)
    if groups is None:
        return draw_stratified(labels, quotas, stream(0, "test part"))
    rows = draw_groups(labels, groups, quotas, stream(0, "test part"), left=2)  # for training and validation
    if rows is not None:
        return rows
    names, count = contents.classes, groups_of_classes(labels, groups, len(counts))
    rule = f"{contents.location}: data.group: {printable(group or '', keep='')}"
    if count.min() < 3:
        label, fewest = names[int(count.argmin())], int(count.min())
        rule += f": class '{label}' has {fewest} group{'s' * (fewest != 1)}, and training, validation and test need one each"
        raise DataError(f"{rule}; give the source a test part, or smaller groups")
    rule += ": no choice of whole groups has every class in training, validation and test"
    raise DataError(f"{rule}; give the source a test part, or smaller groups")


def _reorder(name: str, part: HashedPart, rows: NDArray[np.int64], store: Store) -> HashedPart:
    images = store(name, (part.images[rows[i : i + CHUNK]] for i in range(0, len(rows), CHUNK)))
    return HashedPart(images, part.labels[rows], part.hashes[rows], None if part.groups is None else part.groups[rows])
