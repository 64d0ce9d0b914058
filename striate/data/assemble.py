"""From contents to the parts of a dataset: decoded, in canonical order, with a test part.

`keep` decides where pixels live: it takes a name and chunks of images and gives them back as one array, in memory
or mapped from a file. A name that begins with `raw-` is needed only until `assemble` returns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data import checks
from striate.data.canonical_order import Hashed, hashes, order
from striate.data.config import DataConfig
from striate.data.dataset import Images
from striate.data.decode import Decoder
from striate.data.sources import cifar10 as cifar10_contents
from striate.data.sources.contents import Contents, Rows
from striate.data.splits import class_quotas, draw_stratified

Keep = Callable[[str, Iterator[Images]], Images]
HELD_OUT = 0.2  # of each class, where the source has no test part
COPIED = 512  # images moved at once
NAMED = 5  # broken files listed in a note


@dataclass(frozen=True)
class Assembled:
    """The parts of a dataset before `limit`."""

    classes: tuple[str, ...]
    parts: dict[str, Hashed]
    notes: tuple[str, ...]
    is_cifar10: bool


def in_memory(name: str, chunks: Iterator[Images]) -> Images:
    """The `keep` that writes nothing."""
    return np.concatenate(list(chunks))


def assemble(contents: Contents, config: DataConfig, keep: Keep) -> Assembled:
    """Decode every part and put it in order.

    Raises:
        DataError: for labels, classes or images that do not fit together.
    """
    checks.contents(contents)
    contents, is_cifar10 = cifar10_contents.recognized(contents)
    contents = _with_test(contents)
    with Decoder(config) as decoder:
        raw = {name: _decoded(decoder, contents, name, rows, keep) for name, rows in contents.parts.items()}
    checks.every_class(contents.where, contents.classes, {name: part.labels for name, part in raw.items()})
    parts = {
        name: _arranged(name, part, order(part.labels, part.hashes), keep)
        for name, part in raw.items()
        if name != "train"
    }
    parts |= _train_and_test(contents, raw["train"], keep, whole="test" in parts)
    notes = (*contents.notes, *_held_out_note(contents), *_broken_note(decoder.broken))
    return Assembled(contents.classes, parts, notes, is_cifar10)


def _with_test(contents: Contents) -> Contents:
    """Where a source has training and validation only, the latter is the part nobody decides by."""
    if "test" in contents.parts or "validation" not in contents.parts:
        return contents
    parts = {"train": contents.parts["train"], "test": contents.parts["validation"]}
    note = "the source has no test part: its validation part is the test part"
    return replace(contents, parts=parts, notes=(*contents.notes, note))


def _decoded(decoder: Decoder, contents: Contents, name: str, rows: Rows, keep: Keep) -> Hashed:
    labels: list[NDArray[np.int64]] = []
    hashed: list[NDArray[np.uint8]] = []

    def images() -> Iterator[Images]:
        for chunk, chunk_labels in decoder.chunks(rows):
            labels.append(chunk_labels)
            hashed.append(hashes(chunk))
            yield chunk
        if not labels:
            raise DataError(
                f"{contents.where}, {name} part: no image could be read; the first broken is {decoder.broken[0]}"
            )

    return Hashed(keep(f"raw-{name}", images()), np.concatenate(labels), np.concatenate(hashed))


def _arranged(name: str, part: Hashed, rows: NDArray[np.int64], keep: Keep) -> Hashed:
    images = keep(name, (part.images[rows[i : i + COPIED]] for i in range(0, len(rows), COPIED)))
    return Hashed(images, part.labels[rows], part.hashes[rows])


def _train_and_test(contents: Contents, raw: Hashed, keep: Keep, whole: bool) -> dict[str, Hashed]:
    rows = order(raw.labels, raw.hashes)
    if whole:
        return {"train": _arranged("train", raw, rows, keep)}
    test = _held_out(contents, raw.labels[rows])
    train = np.setdiff1d(np.arange(len(rows)), test)
    return {"train": _arranged("train", raw, rows[train], keep), "test": _arranged("test", raw, rows[test], keep)}


def _held_out(contents: Contents, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the test part. They depend on the images and on nothing else, so every study shares them."""
    counts = np.bincount(labels, minlength=len(contents.classes))
    if counts.min() < 2:
        name = contents.classes[int(counts.argmin())]
        rule = f"{contents.where}: class '{name}' has 1 image, and the test part takes one of each class"
        raise DataError(f"{rule}; add images of it or give the source a test part")
    quota = class_quotas(counts, round(HELD_OUT * len(labels)), np.ones_like(counts), counts - 1)
    return draw_stratified(labels, quota, stream(0, "test part"))


def _held_out_note(contents: Contents) -> tuple[str, ...]:
    note = f"the source has no test part: a fixed {HELD_OUT * 100:.0f} % of it is held out as the test part"
    return () if "test" in contents.parts else (note,)


def _broken_note(broken: list[str]) -> tuple[str, ...]:
    if not broken:
        return ()
    listed = ", ".join(broken[:NAMED]) + (", ..." if len(broken) > NAMED else "")
    return (f"{len(broken)} broken file{'s' if len(broken) > 1 else ''} skipped: {listed}",)
