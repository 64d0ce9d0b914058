"""Which axis of a tensor is which axis of the image, followed through permutations and reshapes.

A layout has a label for each axis: "N" the batch, "C" the channels, 0, 1, ... the axes of the image, "F" a map laid
out in a row, and "c" twice or more for channels that a reshape has split. The empty layout says that it is not known.
"""

import math
from collections.abc import Iterable, Sequence

from striate.nets.graph.graph import Shape

Layout = tuple[str | int, ...]
UNKNOWN: Layout = ()
VECTOR: Layout = ("N", "C")
ROW: Layout = ("N", "F")


def image(axes: int) -> Layout:
    """A map as torch lays it out."""
    return ("N", "C", *range(axes))


def guess(shape: Sequence[int], axes: int) -> Layout:
    """The layout that `shape` most likely has; fit for tensors whose every value may depend on everything."""
    if shape and shape[0] == 1:
        return {2: VECTOR, 2 + axes: image(axes)}.get(len(shape), UNKNOWN)
    return UNKNOWN


def shape_of(layout: Layout, shape: Sequence[int]) -> Shape:
    """(channels, *spatial) or (features,), whatever the order in memory."""
    if not layout:
        return tuple(shape[1:]) if len(shape) > 1 and shape[0] == 1 else tuple(shape)
    sides = dict(zip(layout, shape, strict=True))
    spatial = sorted(label for label in layout if isinstance(label, int))
    channels = math.prod(side for label, side in zip(layout, shape, strict=True) if label in ("C", "c", "F"))
    return (channels, *(sides[axis] for axis in spatial))


def permute(layout: Layout, order: Iterable[int]) -> Layout:
    """The layout after its axes are taken in `order`."""
    return tuple(layout[index] for index in order) if layout else UNKNOWN


def reshape(layout: Layout, before: Sequence[int], after: Sequence[int], axes: int) -> Layout:
    """The layout after a reshape that moves no value to another position of the image; unknown if it may.

    Known are: a map laid out in a row, channels split and joined (as a channel shuffle does), and axes of length 1
    that come and go behind the channels.
    """
    if not layout or before[0] != after[0]:
        return UNKNOWN
    flat = not any(side > 1 for side in shape_of(layout, before)[1:])
    if len(after) == 2 and layout == image(axes):
        return VECTOR if flat else ROW
    if layout in (VECTOR, ROW) and after[1] == before[1] and set(after[2:]) <= {1}:
        return image(axes) if len(after) == 2 + axes and layout == VECTOR else (layout if len(after) == 2 else UNKNOWN)
    if layout[-axes:] == tuple(range(axes)) and tuple(before[-axes:]) == tuple(after[-axes:]):
        between = len(after) - axes - 1
        return ("N", *(["C"] if between == 1 else ["c"] * between), *range(axes))
    return UNKNOWN
