"""The receptive field of any unit of any node with respect to the image, solved on the graph.

A field is a box: per axis the rows (columns, slices) from start to stop. What its status promises:

    exact                 No pixel outside the box changes the unit. Pixels of its first and last row, column and
                          slice can. Between them there may be holes: a dilated kernel, or a stride wider than its
                          kernel, skips pixels.
    whole image           Exact, and every unit of the node sees the whole image.
    upper bound           No pixel outside the box changes the unit, and the box may be larger than need be: branches
                          joined where it matters which channel is meant, an operation that is not known, or windows
                          that are not alike, so that size is the largest.
    depends on the data   The network chose its way by the values of the image with which it was traced. The box is
                          right for that way only; another image may take another.

"Can" is meant of the operations, not of particular weights: the candidates that lose in a max pool count, and so
do units that a relu or a zero weight happens to silence. What cancels by algebra for all weights (the mean of an
instance norm's output is its bias) is not seen, and is still inside the box.

Solved without torch, in plain integers; borders are exact too, where a stride leaves pixels unread.

Receptive fields along one axis: intervals of pixels, position by position, and the rule behind them.

Each axis of a map is held twice. `boxes` has for each position the pixels (start, stop) that it can depend on,
within the image: this is right at the borders, where the rule is not. `first`, `size` and `stride` are the rule:
position i sees the `size` pixels from `first + i * stride`, counting those that lie in the padding. A rule with
stride 0 says that all positions see the same; where no rule holds for all positions, stride is None and size the
largest.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from striate.core.errors import NetworkError
from striate.nets.graph.graph import Certainty, Graph, Node, Shape

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


Status = Literal["exact", "whole image", "upper bound", "depends on the data"]


_ORDER: tuple[Certainty, ...] = get_args(Certainty)


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """The receptive field of a node's units, per axis of the image.

    `size` counts pixels that lie in the padding. `stride` is how many pixels the field moves from one unit to the
    next: 0 if all units see the same, None if it is not the same everywhere. `center` is the middle of the first
    unit's field; 0 is the center of the first pixel.
    """

    size: tuple[int, ...]
    stride: tuple[int | None, ...]
    center: tuple[float, ...]
    status: Status


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """What the units of a node see, and how well that is known."""

    axes: tuple[Axis, ...]
    certainty: Certainty = "exact"
    mixed: bool = True  # all channels see the same; not so after branches with other fields were joined
    folded: Shape = ()  # the shape of the map that a flatten laid out in a row
    scattered: bool = False  # laid out in an order that the graph does not hold


class ReceptiveFields:
    """The solution for a graph: `fields.of("conv3")` and `fields.box("conv3", (channel, row, column))`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._reach: dict[str, _Reach] = {}
        for node in graph.nodes:
            self._reach[node.name] = self._solve(node)

    def of(self, name: str) -> ReceptiveField:
        """The field of the units of node `name`."""
        axes = self._reach[self.graph[name].name].axes
        return ReceptiveField(
            size=tuple(axis.size for axis in axes),
            stride=tuple(axis.stride for axis in axes),
            center=tuple(axis.center for axis in axes),
            status=self.status(name),
        )

    def status(self, name: str) -> Status:
        """What the boxes of node `name` promise."""
        reach = self._reach[self.graph[name].name]
        if reach.certainty != "exact":
            return reach.certainty
        if not reach.mixed or reach.scattered or any(axis.stride is None for axis in reach.axes):
            return "upper bound"
        pairs = zip(reach.axes, self.graph.input_shape[1:], strict=True)
        return "whole image" if all(set(axis.boxes) == {(0, side)} for axis, side in pairs) else "exact"

    def box(self, name: str, unit: Sequence[int], *, clipped: bool = True) -> tuple[Interval, ...]:
        """(start, stop) per axis of the image for the unit at `unit` of the node's output shape.

        A unit that sees nothing but padding has the empty box (0, 0). Unclipped, the box counts the pixels that lie in the
        padding, so that all units of a node have boxes of one size; where there is no rule for that it is clipped.
        """
        node, reach = self.graph[name], self._reach[name]
        if len(unit) != len(node.output_shape) or not all(
            0 <= i < n for i, n in zip(unit, node.output_shape, strict=True)
        ):
            shape = "x".join(map(str, node.output_shape))
            raise NetworkError(f"node '{name}' gives {shape} values; there is no unit {tuple(unit)} among them")
        if reach.scattered:
            reach, unit = _gathered(reach), (0,)
        if not clipped and all(axis.stride is not None for axis in reach.axes):
            return tuple(_ruled(axis, i) for axis, i in zip(reach.axes, _position(reach, unit), strict=True))
        found = [axis.boxes[i] for axis, i in zip(reach.axes, _position(reach, unit), strict=True)]
        # What sees nothing along one axis sees nothing at all.
        return tuple(box or (0, 0) for box in found) if all(found) else ((0, 0),) * len(found)

    def _solve(self, node: Node) -> _Reach:
        if node.op == "input":
            return _Reach(axes=tuple(image(side) for side in node.output_shape[1:]))
        before = self._joined(node)
        if node.op == "flatten":
            folded = before.folded or self.graph[node.inputs[0]].output_shape
            return replace(before, folded=folded, scattered=before.scattered or node.whole)
        mixed = before.mixed or _mixes_channels(node)
        if _reads_all(node):
            return replace(_gathered(before), axes=_spread(_gathered(before).axes, node), mixed=mixed)
        return replace(before, axes=_spread(_windowed(before.axes, node), node), mixed=mixed)

    def _joined(self, node: Node) -> _Reach:
        """What the inputs of `node` see together, position by position."""
        parts = [self._reach[name] for name in node.inputs]
        certainty = max((node.certainty, *(part.certainty for part in parts)), key=_ORDER.index)
        if len(parts) == 1:
            return replace(parts[0], certainty=certainty)
        scattered = any(part.scattered for part in parts)
        if len({part.folded for part in parts}) > 1 or (node.op == "concat" and parts[0].folded):
            parts, scattered = [_gathered(part) for part in parts], True
        alike = all(part.axes == parts[0].axes for part in parts)
        return _Reach(
            axes=tuple(merge(axes) for axes in zip(*(part.axes for part in parts), strict=True)),
            certainty=certainty if _same_gaps(parts) else max(certainty, "upper bound", key=_ORDER.index),
            mixed=all(part.mixed for part in parts) and (alike or node.op != "concat"),
            folded=parts[0].folded,
            scattered=scattered,
        )


def _reads_all(node: Node) -> bool:
    """Whether each value depends on every position; an fc may also be applied at each position apart."""
    return node.whole or node.op == "gap" or (node.op == "fc" and not node.axes)


def _mixes_channels(node: Node) -> bool:
    return node.groups == 1 and (node.op in {"conv", "fc"} or (node.op == "norm" and node.whole))


def _gathered(reach: _Reach) -> _Reach:
    """One position that sees what all of them see."""
    axes = tuple(uniform(hull(axis.boxes)) for axis in reach.axes)
    return replace(reach, axes=axes, folded=(), scattered=False)


def _spread(axes: tuple[Axis, ...], node: Node) -> tuple[Axis, ...]:
    """What one position sees, seen by every position of the node's map."""
    if node.axes != len(axes):
        return axes
    pairs = zip(axes, node.output_shape[1:], strict=True)
    return tuple(uniform(axis.boxes[0], side) if len(axis.boxes) == 1 != side else axis for axis, side in pairs)


def _windowed(axes: tuple[Axis, ...], node: Node) -> tuple[Axis, ...]:
    if node.windows:
        return tuple(read(axis, windows) for axis, windows in zip(axes, node.windows, strict=True))
    if not node.kernel:
        return axes
    return tuple(
        slide(
            axis,
            kernel=node.kernel[i],
            stride=node.stride[i],
            dilation=node.dilation[i],
            before=node.padding[i][0],
            side=node.output_shape[1 + i],
        )
        for i, axis in enumerate(axes)
    )


def _same_gaps(parts: Sequence[_Reach]) -> bool:
    """Whether the same positions see padding only: elsewhere the box around two boxes can be too large along one axis."""
    gaps = [tuple(tuple(box is None for box in axis.boxes) for axis in part.axes) for part in parts]
    return all(gap == gaps[0] for gap in gaps) or not any(True in axis for gap in gaps for axis in gap)


def _position(reach: _Reach, unit: Sequence[int]) -> tuple[int, ...]:
    """The position in the map of a unit of the node."""
    if all(len(axis.boxes) == 1 for axis in reach.axes):
        return (0,) * len(reach.axes)
    if not reach.folded:
        return tuple(unit[1:])
    rest, position = unit[0] % math.prod(reach.folded[1:]), []
    for side in reversed(reach.folded[1:]):
        rest, index = divmod(rest, side)
        position.append(index)
    return tuple(reversed(position))


def _ruled(axis: Axis, position: int) -> Interval:
    start = axis.first + position * (axis.stride or 0)
    return start, start + axis.size
