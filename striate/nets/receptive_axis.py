"""Receptive fields along one axis: intervals of pixels, position by position, and the rule behind them.

Each axis of a map is held twice. `boxes` has for each position the pixels (start, stop) that it can depend on,
within the image: this is right at the borders, where the rule is not. `first`, `size` and `stride` are the rule:
position i sees the `size` pixels from `first + i * stride`, counting those that lie in the padding. A rule with
stride 0 says that all positions see the same; where no rule holds for all positions, stride is None and size the
largest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

Interval = tuple[int, int]
# None: nothing of the image, only padding.
Box = Interval | None


@dataclass(frozen=True)
class Axis:
    """One axis of a map."""

    boxes: tuple[Box, ...]
    first: int
    size: int
    stride: int | None

    @property
    def center(self) -> float:
        """The middle of the first field, in pixels: 0 is the center of the first pixel."""
        return self.first + (self.size - 1) / 2


def image(side: int) -> Axis:
    """The pixels themselves."""
    return Axis(tuple((i, i + 1) for i in range(side)), first=0, size=1, stride=1)


def uniform(box: Box, side: int = 1) -> Axis:
    """Every one of `side` positions sees `box`."""
    start, stop = box or (0, 0)
    return Axis((box,) * side, first=start, size=stop - start, stride=0)


def slide(axis: Axis, *, kernel: int, stride: int, dilation: int, before: int, side: int) -> Axis:
    """`side` windows of `kernel` taps, the first of them `before` positions ahead of the map."""
    boxes = []
    for position in range(side):
        begin = position * stride - before
        taps = range(begin, begin + kernel * dilation, dilation)
        boxes.append(hull(axis.boxes[tap] for tap in taps if 0 <= tap < len(axis.boxes)))
    if axis.stride is None:
        return irregular(boxes)
    size = axis.size + (kernel - 1) * dilation * axis.stride
    return Axis(tuple(boxes), axis.first - before * axis.stride, size, axis.stride * stride)


def read(axis: Axis, windows: Sequence[Interval]) -> Axis:
    """Each position sees what the positions `start` to `stop` before it see."""
    return irregular([hull(axis.boxes[start:stop]) for start, stop in windows])


def merge(axes: Sequence[Axis]) -> Axis:
    """Each position sees what it sees through any of `axes`; an axis of one position is spread over all."""
    side = max(len(axis.boxes) for axis in axes)
    spread = [axis if len(axis.boxes) == side else uniform(axis.boxes[0], side) for axis in axes]
    boxes = tuple(hull(part) for part in zip(*(axis.boxes for axis in spread), strict=True))
    for axis in spread:
        # One branch sees at every position all that the others do: its rule is the rule.
        if axis.stride == 0 and axis.boxes == boxes:
            return axis
    if spread[0].stride is None or len({axis.stride for axis in spread}) > 1:
        return irregular(boxes)
    first = min(axis.first for axis in spread)
    return replace(spread[0], boxes=boxes, first=first, size=max(axis.first + axis.size for axis in spread) - first)


def irregular(boxes: Sequence[Box]) -> Axis:
    """Positions without a common rule, unless they are all alike."""
    if len(set(boxes)) == 1:
        return uniform(boxes[0], len(boxes))
    largest = max(stop - start for start, stop in filter(None, boxes))
    return Axis(tuple(boxes), first=(boxes[0] or (0, 0))[0], size=largest, stride=None)


def hull(boxes: Iterable[Box]) -> Box:
    """The smallest interval around all of them."""
    seen = [box for box in boxes if box]
    return (min(start for start, _ in seen), max(stop for _, stop in seen)) if seen else None
