"""Images that deserve a look for themselves: broken, tiny, blank, dark, of an odd size."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from striate.audit.read import ImageTable
from striate.audit.records import Flaw, ImageRef
from striate.data.canonical_order import PARTS

TINY_SIDE = 16  # pixels: a shorter side shows little
TINY_SHARE = 0.25  # of the median of the shorter sides
BLANK_SPREAD = 2.0  # gray levels of 255, the standard deviation within an image
DARK_LEVEL = 50  # 99 of 100 pixels are darker
USUAL_SHARE = 0.9  # of all images: if so many have one size, others are odd
ODD_RATIO = 2.0  # times the median ratio of width to height
ODD_AREA = 16.0  # times the median area, or one over it


def image_refs(table: ImageTable) -> tuple[ImageRef, ...]:
    """The images of a table as records."""
    return tuple(
        ImageRef(
            row=row,
            part=PARTS[table.parts[row]],
            name=name,
            label=table.classes[table.labels[row]],
            width=int(table.sizes[row, 0]),
            height=int(table.sizes[row, 1]),
        )
        for row, name in enumerate(table.names)
    )


def flaws(table: ImageTable, refs: tuple[ImageRef, ...]) -> tuple[Flaw, ...]:
    """The flawed images, kind by kind in the order of records.KINDS; an image may have several flaws."""
    broken = [Flaw(kind="broken", part=one.part, name=one.name, detail=one.reason) for one in table.broken]
    found = [*_tiny(table), *_blank_or_dark(table), *_odd_sizes(table)]
    return (
        *broken,
        *(
            Flaw(kind=kind, part=refs[row].part, name=refs[row].name, detail=detail, image=refs[row])
            for kind, row, detail in found
        ),
    )


def _tiny(table: ImageTable) -> Iterator[tuple[str, int, str]]:
    short = table.sizes.min(1)
    median = float(np.median(short))
    for row in np.flatnonzero((short < TINY_SIDE) | (short < TINY_SHARE * median)).tolist():
        yield "tiny", row, f"{_size(table, row)}; the median of the shorter sides is {median:.0f}"


def _blank_or_dark(table: ImageTable) -> Iterator[tuple[str, int, str]]:
    blank = table.spread < BLANK_SPREAD
    for row in np.flatnonzero(blank).tolist():
        yield "blank", row, f"its gray levels have a standard deviation of {table.spread[row]:.1f} of 255"
    for row in np.flatnonzero((table.brightest < DARK_LEVEL) & ~blank).tolist():
        yield "dark", row, f"99 % of its pixels are at gray level {table.brightest[row]:.0f} of 255 or below"


def _odd_sizes(table: ImageTable) -> Iterator[tuple[str, int, str]]:
    sizes = Counter(map(tuple, table.sizes.tolist()))
    usual, count = sizes.most_common(1)[0]
    if count >= USUAL_SHARE * len(table):
        for row in np.flatnonzero((table.sizes != usual).any(1)).tolist():
            share = f"{count:,} of {len(table):,} images are {usual[0]} x {usual[1]}"
            yield "odd size", row, f"{_size(table, row)}; {share}"
        return
    ratio, area = table.sizes[:, 0] / table.sizes[:, 1], table.sizes.prod(1)
    odd_ratio = np.abs(np.log(ratio / np.median(ratio))) > np.log(ODD_RATIO)
    odd_area = np.abs(np.log(area / np.median(area))) > np.log(ODD_AREA)
    for row in np.flatnonzero(odd_ratio | odd_area).tolist():
        why = (
            f"{ratio[row]:.2g} times as wide as high" if odd_ratio[row] else f"{area[row] / np.median(area):.2g} times"
        )
        rest = f"the median is {np.median(ratio):.2g}" if odd_ratio[row] else "the median area"
        yield "odd size", row, f"{_size(table, row)}; {why}{', ' if odd_ratio[row] else ' '}{rest}"


def _size(table: ImageTable, row: int) -> str:
    return f"{table.sizes[row, 0]} x {table.sizes[row, 1]}"
