"""Calls that read windows: convolutions, pools, padding, slices, and resizing by repetition."""

from collections.abc import Callable, Sequence
from typing import Any

from striate.nets.graph.graph import Windows
from striate.nets.pytorch.trace import axes as lay
from striate.nets.pytorch.trace.axes import VECTOR
from striate.nets.pytorch.trace.call import Call, Step, both, each, unknown


def conv(call: Call) -> Step:
    weight = call.given("weight", 1)
    axes, kernel = len(weight.shape) - 2, tuple(weight.shape[2:])
    dilation, padding = each(axes, call.given("dilation", 5, 1)), call.given("padding", 4, 0)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pads = tuple((side // 2, side - side // 2) for side in total)
    else:
        pads = both(each(axes, 0 if padding == "valid" else padding))
    window = {
        "kernel": kernel,
        "stride": each(axes, call.given("stride", 3, 1)),
        "dilation": dilation,
        "padding": pads,
    }
    return _placed(call, axes, {"op": "conv", "groups": call.given("groups", 6, 1), **window})


def _placed(call: Call, axes: int, fields: dict[str, Any]) -> Step:
    """Windows over the image as they are; over other axes they still count, and say nothing of positions."""
    if call.is_image and axes == call.axes:
        return Step(call.layout, fields)
    off = unknown(call)
    is_one_image = call.result.shape[0] == 1 and len(call.result.shape) == 2 + axes
    return Step(off.layout, {**fields, **off.fields, "op": fields["op"]}) if is_one_image else off


def max_pool(call: Call) -> Step:
    return _pool(call, "pool", 1, call.given("padding", 3, 0), call.given("dilation", 4, 1))


def avg_pool(call: Call) -> Step:
    return _pool(call, "avgpool", 1, call.given("padding", 3, 0))


def lp_pool(call: Call) -> Step:
    return _pool(call, "avgpool", 2)


def _pool(call: Call, op: str, place: int, padding: Any = 0, dilation: Any = 1) -> Step:
    axes = int(call.name[-2])  # max_pool2d
    kernel = each(axes, call.given("kernel_size", place))
    # An absent stride is None to functions and () to the operator.
    stride = each(axes, call.given("stride", place + 1) or kernel)
    window = {
        "kernel": kernel,
        "stride": stride,
        "dilation": each(axes, dilation),
        "padding": both(each(axes, padding)),
    }
    return _placed(call, axes, {"op": op, **window})


def adaptive(call: Call) -> Step:
    if not call.is_image:
        return unknown(call)
    op, sides = "pool" if "max" in call.name else "avgpool", tuple(call.result.shape[2:])
    if set(sides) == {1}:
        return Step(call.layout, {"op": "gap"})
    if all(before % after == 0 for before, after in zip(call.sides, sides, strict=True)):
        kernel = tuple(before // after for before, after in zip(call.sides, sides, strict=True))
        still = {"dilation": each(call.axes, 1), "padding": both(each(call.axes, 0))}
        return Step(call.layout, {"op": op, "kernel": kernel, "stride": kernel, **still})
    windows = tuple(_shares(before, after) for before, after in zip(call.sides, sides, strict=True))
    return Step(call.layout, {"op": op, "windows": windows})


def _shares(before: int, after: int) -> Windows:
    """The windows of an adaptive pool: a share of the side each, rounded outwards."""
    return tuple((i * before // after, -(-(i + 1) * before // after)) for i in range(after))


def pad(call: Call) -> Step:
    sides, mode = tuple(call.given("pad", 1)), call.given("mode", 2, "constant")
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)][::-1]
    pairs = [(0, 0)] * (2 + call.axes - len(pairs)) + pairs
    if not call.is_image or pairs[0] != (0, 0):
        return unknown(call)
    if mode != "constant":
        return Step(call.layout, {"op": "pad", "windows": _folded(call, pairs[2:], mode)})
    # Channels of zeros beside the others see nothing: then it matters which channel is meant.
    op = "pad" if pairs[1] == (0, 0) else "concat"
    ones = each(call.axes, 1)
    return Step(call.layout, {"op": op, "kernel": ones, "stride": ones, "dilation": ones, "padding": tuple(pairs[2:])})


def _folded(call: Call, pairs: Sequence[tuple[int, int]], mode: str) -> tuple[Windows, ...]:
    """Where reflected, repeated and circular padding comes from."""
    source: dict[str, Callable[[int, int], int]] = {
        "reflect": lambda i, n: abs(i) if i < n else 2 * (n - 1) - i,
        "replicate": lambda i, n: min(max(i, 0), n - 1),
        "circular": lambda i, n: i % n,
    }
    found = []
    for (before, after), side in zip(pairs, call.sides, strict=True):
        places = [source[mode](i, side) for i in range(-before, side + after)]
        found.append(tuple((place, place + 1) for place in places))
    return tuple(found)


def item(call: Call) -> Step:
    """Slices of a map; a vector set up as a map of one pixel; all else is not known."""
    index = call.given("index", 1)
    index = index if isinstance(index, tuple) else (index,)
    if len(call.inputs) > 1:
        return Step(unknown(call).layout, {**unknown(call).fields, "certainty": "depends on the data"})
    whole = slice(None)
    if call.layout == VECTOR and tuple(index) in (
        (whole, whole) + (None,) * call.axes,
        (Ellipsis,) + (None,) * call.axes,
    ):
        return Step(lay.image(call.axes))
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index = (*index[:at], *[whole] * (2 + call.axes - len(index) + 1), *index[at + 1 :])
    index = (*index, *[whole] * (2 + call.axes - len(index)))
    if not call.is_image or len(index) != 2 + call.axes or not all(isinstance(part, slice) for part in index):
        return unknown(call)
    if index[1] != whole:
        # Some channels, at every position.
        at_all = all(part == whole for part in index[2:])
        return Step(call.layout, {"op": "other"}) if at_all else unknown(call)
    ranges = [part.indices(side) for part, side in zip(index[2:], call.sides, strict=True)]
    ones, stride = each(call.axes, 1), tuple(step for _, _, step in ranges)
    padding = tuple((-start, 0) for start, _, _ in ranges)
    return Step(
        call.layout,
        {"op": "pick", "kernel": ones, "stride": stride, "dilation": ones, "padding": padding},
    )


def interpolate(call: Call) -> Step:
    sides = tuple(call.result.shape[2:])
    known = call.is_image and call.given("mode", 3, "nearest") == "nearest"
    if not known or any(after % before for before, after in zip(call.sides, sides, strict=True)):
        return unknown(call)
    pairs = zip(call.sides, sides, strict=True)
    windows = tuple(
        tuple((i * before // after, i * before // after + 1) for i in range(after)) for before, after in pairs
    )
    return Step(call.layout, {"op": "other", "windows": windows})
