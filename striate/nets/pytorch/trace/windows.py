"""Calls that read windows: convolutions, pools, padding, slices, and resizing by repetition."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from striate.nets.graph.graph import Op, Windows
from striate.nets.pytorch.trace.axes import VECTOR, image_layout
from striate.nets.pytorch.trace.call import Call, Effect, Operation, both_sides, one_per_axis, unknown


def conv(call: Call) -> Effect:
    weight = call.argument("weight", 1)
    axes, kernel = len(weight.shape) - 2, tuple(weight.shape[2:])
    dilation, padding = one_per_axis(axes, call.argument("dilation", 5, 1)), call.argument("padding", 4, 0)
    if padding == "same":
        totals = [step * (side - 1) for step, side in zip(dilation, kernel, strict=True)]
        pads = tuple((total // 2, total - total // 2) for total in totals)
    else:
        pads = both_sides(one_per_axis(axes, 0 if padding == "valid" else padding))
    operation = Operation(
        op="conv",
        kernel=kernel,
        stride=one_per_axis(axes, call.argument("stride", 3, 1)),
        dilation=dilation,
        padding=pads,
        groups=call.argument("groups", 6, 1),
    )
    return _over_image(call, axes, operation)


def _over_image(call: Call, axes: int, operation: Operation) -> Effect:
    """Windows over the axes of the image. Over other axes they are counted, and nothing is known about positions."""
    if call.has_one_map and axes == call.axes:
        return Effect(call.layout, operation)
    effect = unknown(call)
    is_one_image = call.result.shape[0] == 1 and len(call.result.shape) == 2 + axes
    if not is_one_image or effect.operation is None:
        return effect
    return Effect(effect.layout, replace(operation, whole=True, certainty=effect.operation.certainty))


def max_pool(call: Call) -> Effect:
    return _pool(call, "pool", 1, call.argument("padding", 3, 0), call.argument("dilation", 4, 1))


def avg_pool(call: Call) -> Effect:
    return _pool(call, "avgpool", 1, call.argument("padding", 3, 0))


def lp_pool(call: Call) -> Effect:
    return _pool(call, "avgpool", 2)


def _pool(
    call: Call, op: Op, position: int, padding: int | tuple[int, ...] = 0, dilation: int | tuple[int, ...] = 1
) -> Effect:
    """`position` is that of the argument kernel_size."""
    axes = int(call.name[-2])  # max_pool2d
    kernel = one_per_axis(axes, call.argument("kernel_size", position))
    operation = Operation(
        op=op,
        kernel=kernel,
        # A stride that is left out is None to functions and () to the operator.
        stride=one_per_axis(axes, call.argument("stride", position + 1) or kernel),
        dilation=one_per_axis(axes, dilation),
        padding=both_sides(one_per_axis(axes, padding)),
    )
    return _over_image(call, axes, operation)


def adaptive_pool(call: Call) -> Effect:
    if not call.has_one_map:
        return unknown(call)
    op: Op = "pool" if "max" in call.name else "avgpool"
    sides = tuple(call.result.shape[2:])
    if set(sides) == {1}:
        return Effect(call.layout, Operation(op="gap"))
    if all(before % after == 0 for before, after in zip(call.sides, sides, strict=True)):
        kernel = tuple(before // after for before, after in zip(call.sides, sides, strict=True))
        dilation, padding = (1,) * call.axes, ((0, 0),) * call.axes
        return Effect(call.layout, Operation(op=op, kernel=kernel, stride=kernel, dilation=dilation, padding=padding))
    windows = tuple(_adaptive_windows(before, after) for before, after in zip(call.sides, sides, strict=True))
    return Effect(call.layout, Operation(op=op, windows=windows))


def _adaptive_windows(before: int, after: int) -> Windows:
    """The windows of an adaptive pool: equal shares of the side, rounded outwards."""
    return tuple((i * before // after, -(-(i + 1) * before // after)) for i in range(after))


def pad(call: Call) -> Effect:
    sides, mode = tuple(call.argument("pad", 1)), call.argument("mode", 2, "constant")
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)][::-1]  # torch gives the last axis first
    pairs = [(0, 0)] * (2 + call.axes - len(pairs)) + pairs
    batch, channels, *spatial = pairs
    if not call.has_one_map or batch != (0, 0):
        return unknown(call)
    if mode != "constant":
        return Effect(call.layout, Operation(op="pad", windows=_padding_sources(call, spatial, mode)))
    ones = (1,) * call.axes
    operation = Operation(
        # Channels of zeros beside the others depend on nothing: then it matters which channel is meant.
        op="pad" if channels == (0, 0) else "concat",
        kernel=ones,
        stride=ones,
        dilation=ones,
        padding=tuple(spatial),
    )
    return Effect(call.layout, operation)


def _padding_sources(call: Call, pairs: Sequence[tuple[int, int]], mode: str) -> tuple[Windows, ...]:
    """The position from which each value comes after reflected, repeated or circular padding."""
    sources: dict[str, Callable[[int, int], int]] = {
        "reflect": lambda i, n: abs(i) if i < n else 2 * (n - 1) - i,
        "replicate": lambda i, n: min(max(i, 0), n - 1),
        "circular": lambda i, n: i % n,
    }
    windows = []
    for (before, after), side in zip(pairs, call.sides, strict=True):
        positions = [sources[mode](i, side) for i in range(-before, side + after)]
        windows.append(tuple((position, position + 1) for position in positions))
    return tuple(windows)


def getitem(call: Call) -> Effect:
    """Slices of a map, and a vector made a map of one pixel; anything else is unknown."""
    index = call.argument("index", 1)
    index = index if isinstance(index, tuple) else (index,)
    if len(call.inputs) > 1:  # the index comes from the image too
        effect = unknown(call)
        return Effect(effect.layout, Operation(op="other", whole=True, certainty="depends on the data"))
    everything = slice(None)
    as_map = ((everything, everything) + (None,) * call.axes, (Ellipsis,) + (None,) * call.axes)
    if call.layout == VECTOR and tuple(index) in as_map:
        return Effect(image_layout(call.axes))
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index = (*index[:at], *[everything] * (2 + call.axes - len(index) + 1), *index[at + 1 :])
    index = (*index, *[everything] * (2 + call.axes - len(index)))
    if not call.has_one_map or len(index) != 2 + call.axes or not all(isinstance(part, slice) for part in index):
        return unknown(call)
    if index[1] != everything:
        # Some channels, at every position.
        has_all_positions = all(part == everything for part in index[2:])
        return Effect(call.layout, Operation(op="other")) if has_all_positions else unknown(call)
    ranges = [part.indices(side) for part, side in zip(index[2:], call.sides, strict=True)]
    ones = (1,) * call.axes
    operation = Operation(
        op="pick",
        kernel=ones,
        stride=tuple(step for _, _, step in ranges),
        dilation=ones,
        padding=tuple((-start, 0) for start, _, _ in ranges),
    )
    return Effect(call.layout, operation)


def interpolate(call: Call) -> Effect:
    sides = tuple(call.result.shape[2:])
    pairs = list(zip(call.sides, sides, strict=True)) if call.has_one_map else []
    is_repetition = call.argument("mode", 3, "nearest") == "nearest" and not any(
        after % before for before, after in pairs
    )
    if not call.has_one_map or not is_repetition:
        return unknown(call)
    windows = tuple(
        tuple((i * before // after, i * before // after + 1) for i in range(after)) for before, after in pairs
    )
    return Effect(call.layout, Operation(op="other", windows=windows))
