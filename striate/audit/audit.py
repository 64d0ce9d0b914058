"""`audit`: from a source to everything that was found in it."""

import numpy as np

from striate.audit.flaws import flaws, image_refs
from striate.audit.near import THRESHOLD, near_pairs
from striate.audit.read import ImageTable, read_images
from striate.audit.records import Audit, Copies, ImageRef, NearPair
from striate.data.canonical_order import PARTS, argsort_by_hash, first_copies
from striate.data.contents import Source
from striate.data.loading import find_source


def audit(source: str, *, near: bool = True) -> Audit:
    """Look at all images of a source: a name such as `cifar10`, or a path, as `data.source` of a study file takes.

    `near`: also look for near duplicates, whose time grows with the square of the number of images.

    Raises:
        DataError: for a source that is missing, has one class only, or in which no image can be read.
    """
    found = find_source(source)
    table = read_images(found.read())
    return audit_table(table, found, near=near)


def audit_table(table: ImageTable, source: Source, *, near: bool = True) -> Audit:
    """The audit of images that were read already."""
    refs = image_refs(table)
    return Audit(
        name=source.name,
        location=source.location,
        classes=table.classes,
        counts=_counts(table),
        flaws=flaws(table, refs),
        copies=_copies(table, refs),
        near=_near(table, refs) if near else None,
        threshold=THRESHOLD,
        notes=source.notes,
    )


def _counts(table: ImageTable) -> dict[str, tuple[int, ...]]:
    return {
        PARTS[part]: tuple(np.bincount(table.labels[table.parts == part], minlength=len(table.classes)).tolist())
        for part in np.unique(table.parts)
    }


def _copies(table: ImageTable, refs: tuple[ImageRef, ...]) -> tuple[Copies, ...]:
    """The groups of images with equal pixels, in the order of their first image."""
    order = argsort_by_hash(np.arange(len(table)), table.hashes)
    first = order[first_copies(table.hashes[order])]
    groups: dict[int, list[int]] = {}
    for row, of in zip(order.tolist(), first.tolist(), strict=True):
        groups.setdefault(of, []).append(row)
    several = sorted(sorted(rows) for rows in groups.values() if len(rows) > 1)
    return tuple(Copies(images=tuple(refs[row] for row in rows)) for rows in several)


def _near(table: ImageTable, refs: tuple[ImageRef, ...]) -> tuple[NearPair, ...]:
    """The near duplicates that are no copies."""
    pairs = near_pairs(table.small, table.hashes)
    return tuple(
        NearPair(first=refs[first], second=refs[second], score=round(float(score), 4), mirrored=bool(mirrored))
        for first, second, mirrored, score in zip(*pairs, strict=True)
    )
