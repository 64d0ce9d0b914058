"""`audit`: from a source to everything that was found in it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate.audit.candidates import Floats, Pairs
from striate.audit.flaws import flaws, image_refs
from striate.audit.groups import divided_groups, is_file, rule_for, shared_groups
from striate.audit.near import THRESHOLD, distinct_candidates, looked_at_closely, turned_pairs
from striate.audit.read import ImageTable, pictures, read_images
from striate.audit.records import Audit, Copies, ImageRef, NearPair
from striate.core.records import printable
from striate.data.assemble import drawn_parts
from striate.data.canonical_order import PARTS, argsort_by_hash, first_copies, hash_images
from striate.data.dataset import DataConfig, Images
from striate.data.loading import find_source


def audit(source: str, *, near: bool = True) -> Audit:
    """Look at all images of a source: a name such as `cifar10`, or a path, as `data.source` of a study file takes.

    `near`: also look for near duplicates, whose time grows with the square of the number of images.

    Raises:
        DataError: for a source that is missing, has one class only, or in which no image can be read.
    """
    return Auditor(source).audit(near=near)


@dataclass(frozen=True)
class Features:
    """What a trained network makes of images, and the hashes of these as its run had them."""

    hashes: NDArray[np.uint8]  # M x 32
    values: Floats  # M x D

    def of(self, table: ImageTable) -> Floats:
        """Those of the images of a table, a row each; not a number where there are none."""
        rows = {digest.tobytes(): row for row, digest in enumerate(self.hashes)}
        found = np.array([rows.get(digest, -1) for digest in table.trained])
        return np.where(found[:, None] >= 0, self.values[found], np.float32(np.nan))


class Auditor:
    """A source whose images were looked at, for an audit and for pictures of what it found.

    Of a `DataConfig`, that of a study, channels and size decide how `twins` matches images with those of the runs.

    Raises:
        DataError: as `audit`.
    """

    def __init__(self, data: str | DataConfig) -> None:
        config = DataConfig(source=data) if isinstance(data, str) else data
        self.source = find_source(config.source)
        self.contents = self.source.contents(config.group)
        self.table = read_images(self.contents, config)

    def audit(self, *, near: bool = True, features: Features | None = None, of: str = "") -> Audit:
        """Everything that was found; `of` says whose `features` they are, or why there are none."""
        refs = image_refs(self.table)
        drawn = drawn_parts(self.contents.parts)
        divided = divided_groups(refs, self.table.taken, self._group_of) if drawn else ()
        group, kept = rule_for(divided, refs, len(drawn) + 1)
        close, turned = _pairs(self.table, features) if near else (None, None)
        return Audit(
            name=printable(self.source.name, keep=""),
            location=self.source.location,
            classes=self.table.classes,
            counts=_counts(self.table),
            flaws=flaws(self.table, refs),
            copies=_copies(self.table, refs),
            near=_records(close, refs) if close is not None else None,
            threshold=THRESHOLD,
            turned=_records(turned, refs) if turned is not None else None,
            features=of,
            shared=shared_groups(refs, self.table.taken),
            divided=tuple(group.record for group in divided),
            group=group,
            kept=kept,
            has_paths=is_file(refs[0]),
            notes=(*self.source.notes, *self.contents.notes),
        )

    def _group_of(self, image: ImageRef) -> str | int:
        """The number of an image's group as runs have it; empty where the study asks for none."""
        groups = self.contents.parts[image.part].groups
        return "" if groups is None else int(groups[self.table.positions[image.row]])

    def twins(self, found: Audit, train: Images, test: Images) -> list[int]:
        """The rows of a study's test images that have a copy or a near duplicate among its training images."""
        known = {digest.tobytes() for digest in hash_images(train)}
        seen = {self.table.trained[row] for pair in found.near or () for row in _seen(pair, self.table, known)}
        return [
            row for row, digest in enumerate(hash_images(test)) if (name := digest.tobytes()) in known or name in seen
        ]

    def pictures(self, images: Iterable[ImageRef], most: int) -> dict[int, Images]:
        """Pictures of these images by row, with sides of at most `most` pixels."""
        return pictures(self.contents, self.table, [image.row for image in images], most)


def _seen(pair: NearPair, table: ImageTable, known: set[bytes]) -> Iterator[int]:
    """The rows of a pair whose twin is known."""
    rows = pair.first.row, pair.second.row
    for row, twin in (rows, rows[::-1]):
        if table.trained[twin] in known:
            yield row


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


def _pairs(table: ImageTable, features: Features | None) -> tuple[Pairs, Pairs | None]:
    """The near duplicates that are no copies; with features also the pairs that are alike when one is turned."""
    found = distinct_candidates(table.small, table.hashes)
    close = looked_at_closely(table.small, found)
    close = close.select(close.score >= THRESHOLD)
    return close, turned_pairs(table.small, found, close, features.of(table)) if features else None


def _records(pairs: Pairs, refs: tuple[ImageRef, ...]) -> tuple[NearPair, ...]:
    return tuple(
        NearPair(first=refs[first], second=refs[second], score=round(float(score), 4), mirrored=bool(mirrored))
        for first, second, mirrored, score in zip(*pairs, strict=True)
    )
