"""`audit`: from a source to everything that was found in it."""

from collections.abc import Iterable

import numpy as np

from striate.audit.flaws import flaws, image_refs
from striate.audit.near import THRESHOLD, near_pairs
from striate.audit.read import ImageTable, pictures, read_images
from striate.audit.records import Audit, Copies, ImageRef, NearPair
from striate.core.records import printable
from striate.data.canonical_order import PARTS, argsort_by_hash, first_copies
from striate.data.dataset import Images
from striate.data.loading import find_source


def audit(source: str, *, near: bool = True) -> Audit:
    """Look at all images of a source: a name such as `cifar10`, or a path, as `data.source` of a study file takes.

    `near`: also look for near duplicates, whose time grows with the square of the number of images.

    Raises:
        DataError: for a source that is missing, has one class only, or in which no image can be read.
    """
    return Auditor(source).audit(near=near)


class Auditor:
    """A source whose images were looked at, for an audit and for pictures of what it found.

    Raises:
        DataError: as `audit`.
    """

    def __init__(self, source: str) -> None:
        self.source = find_source(source)
        self.contents = self.source.read()
        self.table = read_images(self.contents)

    def audit(self, *, near: bool = True) -> Audit:
        """Everything that was found."""
        refs = image_refs(self.table)
        return Audit(
            name=printable(self.source.name, keep=""),
            location=self.source.location,
            classes=self.table.classes,
            counts=_counts(self.table),
            flaws=flaws(self.table, refs),
            copies=_copies(self.table, refs),
            near=_near(self.table, refs) if near else None,
            threshold=THRESHOLD,
            notes=(*self.source.notes, *self.contents.notes),
        )

    def pictures(self, images: Iterable[ImageRef], most: int) -> dict[int, Images]:
        """Pictures of these images by row, with sides of at most `most` pixels."""
        return pictures(self.contents, self.table, [image.row for image in images], most)


def _counts(table: ImageTable) -> dict[str, tuple[int, ...]]:
    return {
        PARTS[part]: tuple(np.bincount(table.labels[table.parts == part], minlength=len(table.classes)).tolist())
        for part in np.unique(table.parts)
    }


def _copies(table: ImageTable, refs: tuple[ImageRef, ...]) -> tuple[Copies, ...]:
    """The groups of images with equal pixels, in the order of their first image."""
    order = argsort_by_hash(np.arange(len(table)), table.hashes)
    first = order[first_copies(table.hashes[order])]
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, of in zip(order.tolist(), first.tolist(), strict=True):
        # The size belongs to it: a blank image may have the bytes of another that is turned.
        groups.setdefault((of, *table.sizes[row]), []).append(row)
    several = sorted(sorted(rows) for rows in groups.values() if len(rows) > 1)
    return tuple(Copies(images=tuple(refs[row] for row in rows)) for rows in several)


def _near(table: ImageTable, refs: tuple[ImageRef, ...]) -> tuple[NearPair, ...]:
    """The near duplicates that are no copies."""
    pairs = near_pairs(table.small, table.hashes)
    return tuple(
        NearPair(first=refs[first], second=refs[second], score=round(float(score), 4), mirrored=bool(mirrored))
        for first, second, mirrored, score in zip(*pairs, strict=True)
    )
