"""The receptive field of any unit of any node: the box of pixels of the image that the unit can depend on.

A field is a box: per axis the rows (columns, slices) from start to stop. What its status promises:

    exact                 No pixel outside the box changes the unit. Pixels of its first and last row, column and
                          slice can. Between them there may be holes: a dilated kernel, or a stride wider than its
                          kernel, skips pixels.
    whole image           Exact, and every unit of the node depends on the whole image.
    upper bound           No pixel outside the box changes the unit; the box may be larger than necessary: branches
                          joined where it matters which channel is meant, an unknown operation, or windows that are
                          not alike (then size is the largest).
    depends on the data   The network branched on the values of the image with which it was traced. The box is right
                          for that branch only.

"Can" refers to the operations, not to particular weights: all candidates of a max pool count, and so do units that a
relu or a zero weight happens to silence. What cancels by algebra for all weights (the mean of an instance norm's
output is its bias) is not recognized, and is still inside the box.

Computed on the graph in plain integers, without torch; exact at the borders too, where a stride leaves pixels unread.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from striate.core.errors import NetworkError
from striate.nets.graph.graph import Certainty, Graph, Node
from striate.nets.layers import Shape, shape_text

Status = Literal["exact", "whole image", "upper bound", "depends on the data"]
Interval = tuple[int, int]
# None: nothing of the image, only padding.
Box = Interval | None

_CERTAINTIES: tuple[Certainty, ...] = get_args(Certainty)  # from the most to the least certain


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """The receptive field of a node's units, per axis of the image.

    `size` counts pixels that lie in the padding. `stride` is how many pixels the field moves from one unit to the
    next: 0 if all units have the same field, None if it varies. `center` is the middle of the first unit's field;
    0 is the center of the first pixel.
    """

    size: tuple[int, ...]
    stride: tuple[int | None, ...]
    center: tuple[float, ...]
    status: Status


@dataclass(frozen=True)
class Axis:
    """The fields of all positions along one axis of a map, held twice.

    `boxes` has for each position the pixels (start, stop) that it can depend on, within the image; this is right at
    the borders too. `first`, `size` and `stride` are the rule: the field of position i is the `size` pixels from
    `first + i * stride`, counting those in the padding. With stride 0 all positions have the same field. Where no rule
    holds for all positions, stride is None and size the largest.
    """

    boxes: tuple[Box, ...]
    first: int
    size: int
    stride: int | None

    @property
    def center(self) -> float:
        """The middle of the first field, in pixels: 0 is the center of the first pixel."""
        return self.first + (self.size - 1) / 2


def pixels(side: int) -> Axis:
    """The image itself: each pixel is its own field."""
    return Axis(tuple((i, i + 1) for i in range(side)), first=0, size=1, stride=1)


def uniform(box: Box, side: int = 1) -> Axis:
    """`side` positions that all have the field `box`."""
    start, stop = box or (0, 0)
    return Axis((box,) * side, first=start, size=stop - start, stride=0)


def slide(axis: Axis, *, kernel: int, stride: int, dilation: int, before: int, side: int) -> Axis:
    """`side` windows of `kernel` taps over `axis`, the first of them `before` positions ahead of the map."""
    boxes = []
    for position in range(side):
        begin = position * stride - before
        taps = range(begin, begin + kernel * dilation, dilation)
        boxes.append(hull(axis.boxes[tap] for tap in taps if 0 <= tap < len(axis.boxes)))
    if axis.stride is None:
        return irregular(boxes)
    size = axis.size + (kernel - 1) * dilation * axis.stride
    return Axis(tuple(boxes), axis.first - before * axis.stride, size, axis.stride * stride)


def read_windows(axis: Axis, windows: Sequence[Interval]) -> Axis:
    """One position per window (start, stop) of positions of `axis`."""
    return irregular([hull(axis.boxes[start:stop]) for start, stop in windows])


def merge(axes: Sequence[Axis]) -> Axis:
    """Position by position the union of the fields; an axis of one position is spread over all."""
    side = max(len(axis.boxes) for axis in axes)
    spread = [axis if len(axis.boxes) == side else uniform(axis.boxes[0], side) for axis in axes]
    boxes = tuple(hull(part) for part in zip(*(axis.boxes for axis in spread), strict=True))
    for axis in spread:
        # The field of one branch contains those of all others at every position: its rule is the rule.
        if axis.stride == 0 and axis.boxes == boxes:
            return axis
    if spread[0].stride is None or len({axis.stride for axis in spread}) > 1:
        return irregular(boxes)
    first = min(axis.first for axis in spread)
    return replace(spread[0], boxes=boxes, first=first, size=max(axis.first + axis.size for axis in spread) - first)


def irregular(boxes: Sequence[Box]) -> Axis:
    """Positions without a common rule, unless they all have the same box."""
    if len(set(boxes)) == 1:
        return uniform(boxes[0], len(boxes))
    largest = max(stop - start for start, stop in filter(None, boxes))
    return Axis(tuple(boxes), first=(boxes[0] or (0, 0))[0], size=largest, stride=None)


def hull(boxes: Iterable[Box]) -> Box:
    """The smallest interval that contains all of them."""
    intervals = [box for box in boxes if box]
    if not intervals:
        return None
    return min(start for start, _ in intervals), max(stop for _, stop in intervals)


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """The fields of a node's units, and how certain they are."""

    axes: tuple[Axis, ...]
    certainty: Certainty = "exact"
    mixed: bool = True  # all channels have the same field; false after branches with other fields were joined
    flattened: Shape = ()  # the shape of the map that a flatten laid out in a row
    scattered: bool = False  # laid out in an order that the graph does not hold


class ReceptiveFields:
    """The receptive fields of a graph: `fields.of("conv3")` and `fields.box("conv3", (channel, row, column))`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._reach: dict[str, _Reach] = {}
        for node in graph.nodes:
            self._reach[node.name] = self._compute(node)

    def of(self, name: str) -> ReceptiveField:
        """The field of the units of node `name`."""
        axes = self._reach[self.graph[name].name].axes
        return ReceptiveField(
            size=tuple(axis.size for axis in axes),
            stride=tuple(axis.stride for axis in axes),
            center=tuple(axis.center for axis in axes),
            status=self.status(name),
        )

    def axes(self, name: str) -> list[Axis]:
        """The fields of the positions of node `name`, along each axis of the image."""
        return list(self._reach[self.graph[name].name].axes)

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
        """(start, stop) per axis of the image for the unit at index `unit` of the node's output.

        A unit that depends on nothing but padding has the empty box (0, 0). Unclipped, the box counts the pixels that
        lie in the padding, so that all units of a node have boxes of one size; where no rule holds it is clipped.

        Raises:
            NetworkError: for a node or a unit that does not exist.
        """
        node, reach = self.graph[name], self._reach[name]
        if len(unit) != len(node.output_shape) or not all(
            0 <= i < n for i, n in zip(unit, node.output_shape, strict=True)
        ):
            raise NetworkError(
                f"node '{name}' gives {shape_text(node.output_shape)} values; it has no unit {tuple(unit)}"
            )
        if reach.scattered:
            reach, unit = _gathered(reach), (0,)
        position = _position(reach, unit)
        if not clipped and all(axis.stride is not None for axis in reach.axes):
            return tuple(_by_rule(axis, i) for axis, i in zip(reach.axes, position, strict=True))
        boxes = [axis.boxes[i] for axis, i in zip(reach.axes, position, strict=True)]
        # A unit without pixels along one axis depends on no pixel at all.
        return tuple(box or (0, 0) for box in boxes) if all(boxes) else ((0, 0),) * len(boxes)

    def _compute(self, node: Node) -> _Reach:
        if node.op == "input":
            return _Reach(axes=tuple(pixels(side) for side in node.output_shape[1:]))
        before = self._join_inputs(node)
        if node.op == "flatten":
            flattened = before.flattened or self.graph[node.inputs[0]].output_shape
            return replace(before, flattened=flattened, scattered=before.scattered or node.whole)
        mixed = before.mixed or _mixes_channels(node)
        if _reads_all(node):
            return replace(_gathered(before), axes=_spread(_gathered(before).axes, node), mixed=mixed)
        return replace(before, axes=_spread(_windowed(before.axes, node), node), mixed=mixed)

    def _join_inputs(self, node: Node) -> _Reach:
        """The union of the fields of the inputs of `node`, position by position."""
        parts = [self._reach[name] for name in node.inputs]
        certainty = max((node.certainty, *(part.certainty for part in parts)), key=_CERTAINTIES.index)
        if len(parts) == 1:
            return replace(parts[0], certainty=certainty)
        scattered = any(part.scattered for part in parts)
        if len({part.flattened for part in parts}) > 1 or (node.op == "concat" and parts[0].flattened):
            parts, scattered = [_gathered(part) for part in parts], True
        alike = all(part.axes == parts[0].axes for part in parts)
        return _Reach(
            axes=tuple(merge(axes) for axes in zip(*(part.axes for part in parts), strict=True)),
            certainty=certainty if _same_gaps(parts) else max(certainty, "upper bound", key=_CERTAINTIES.index),
            mixed=all(part.mixed for part in parts) and (alike or node.op != "concat"),
            flattened=parts[0].flattened,
            scattered=scattered,
        )


def _reads_all(node: Node) -> bool:
    """Whether each value depends on every position; an fc may also be applied at each position."""
    return node.whole or node.op == "gap" or (node.op == "fc" and not node.axes)


def _mixes_channels(node: Node) -> bool:
    return node.groups == 1 and (node.op in {"conv", "fc"} or (node.op == "norm" and node.whole))


def _gathered(reach: _Reach) -> _Reach:
    """One position whose field is the union of all."""
    axes = tuple(uniform(hull(axis.boxes)) for axis in reach.axes)
    return replace(reach, axes=axes, flattened=(), scattered=False)


def _spread(axes: tuple[Axis, ...], node: Node) -> tuple[Axis, ...]:
    """An axis of one position, as the field of every position of the node's map."""
    if node.axes != len(axes):
        return axes
    pairs = zip(axes, node.output_shape[1:], strict=True)
    return tuple(uniform(axis.boxes[0], side) if len(axis.boxes) == 1 != side else axis for axis, side in pairs)


def _windowed(axes: tuple[Axis, ...], node: Node) -> tuple[Axis, ...]:
    if node.windows:
        return tuple(read_windows(axis, windows) for axis, windows in zip(axes, node.windows, strict=True))
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
    """Whether the same positions depend on padding only; elsewhere the box around two boxes can be too large along one axis."""
    gaps = [tuple(tuple(box is None for box in axis.boxes) for axis in part.axes) for part in parts]
    return all(gap == gaps[0] for gap in gaps) or not any(True in axis for gap in gaps for axis in gap)


def _position(reach: _Reach, unit: Sequence[int]) -> tuple[int, ...]:
    """The position in the map of a unit of the node."""
    if all(len(axis.boxes) == 1 for axis in reach.axes):
        return (0,) * len(reach.axes)
    if not reach.flattened:
        return tuple(unit[1:])
    rest, position = unit[0] % math.prod(reach.flattened[1:]), []
    for side in reversed(reach.flattened[1:]):
        rest, index = divmod(rest, side)
        position.append(index)
    return tuple(reversed(position))


def _by_rule(axis: Axis, position: int) -> Interval:
    start = axis.first + position * (axis.stride or 0)
    return start, start + axis.size
