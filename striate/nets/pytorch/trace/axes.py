"""Which axis of a tensor is which axis of the image, followed through permutations and reshapes.

A layout has a label for each axis: "N" the batch, "C" the channels, 0, 1, ... the axes of the image, "F" a map laid
out in a row, and "c" twice or more for channels that a reshape has split. The empty layout means unknown.
"""

import math
from collections.abc import Iterable, Sequence

from striate.nets.layers import Shape

Layout = tuple[str | int, ...]
UNKNOWN: Layout = ()
VECTOR: Layout = ("N", "C")
ROW: Layout = ("N", "F")


def image_layout(axes: int) -> Layout:
    """A map in torch's order."""
    return ("N", "C", *range(axes))


def guess_layout(shape: Sequence[int], axes: int) -> Layout:
    """The layout that `shape` most likely has; only for tensors whose every value may depend on everything."""
    if shape and shape[0] == 1:
        return {2: VECTOR, 2 + axes: image_layout(axes)}.get(len(shape), UNKNOWN)
    return UNKNOWN


def shape_of(layout: Layout, sides: Sequence[int]) -> Shape:
    """(channels, *spatial) or (features,) of a tensor with these sides, whatever its order of axes."""
    if not layout:
        return tuple(sides[1:]) if len(sides) > 1 and sides[0] == 1 else tuple(sides)
    side_of = dict(zip(layout, sides, strict=True))
    spatial = sorted(label for label in layout if isinstance(label, int))
    channels = math.prod(side for label, side in zip(layout, sides, strict=True) if label in ("C", "c", "F"))
    return (channels, *(side_of[axis] for axis in spatial))


def permute_layout(layout: Layout, order: Iterable[int]) -> Layout:
    """The layout after its axes are taken in `order`."""
    return tuple(layout[index] for index in order) if layout else UNKNOWN


def reshape_layout(layout: Layout, before: Sequence[int], after: Sequence[int], axes: int) -> Layout:
    """The layout after a reshape that moves no value to another position of the image; unknown if it may.

    Recognized are: a map laid out in a row, channels split and joined (as a channel shuffle does), and axes of length 1
    added or removed behind the channels.
    """
    if not layout or before[0] != after[0]:
        return UNKNOWN
    has_one_pixel = not any(side > 1 for side in shape_of(layout, before)[1:])
    if len(after) == 2 and layout == image_layout(axes):
        return VECTOR if has_one_pixel else ROW
    if layout in (VECTOR, ROW) and after[1] == before[1] and set(after[2:]) <= {1}:
        if len(after) == 2:
            return layout
        return image_layout(axes) if len(after) == 2 + axes and layout == VECTOR else UNKNOWN
    if layout[-axes:] == tuple(range(axes)) and tuple(before[-axes:]) == tuple(after[-axes:]):
        between = len(after) - axes - 1
        return ("N", *(["C"] if between == 1 else ["c"] * between), *range(axes))
    return UNKNOWN
