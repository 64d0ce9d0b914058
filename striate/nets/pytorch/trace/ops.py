"""What one call of a torch function does to positions: a function for each kind of call, in one table.

A call is read by the name of its function and the shapes that went in and came out, never by what it computes. What
the table does not know is "other": every value may depend on every position, and the field is an upper bound.
"""

from collections.abc import Sequence
from typing import Any

from striate.nets.pytorch.trace import axes as lay
from striate.nets.pytorch.trace import windows
from striate.nets.pytorch.trace.axes import ROW, UNKNOWN, VECTOR
from striate.nets.pytorch.trace.call import Call, Reader, Step, unknown, words

CONVOLUTIONS = words("conv1d conv2d conv3d")
MAX_POOLS = words("max_pool1d max_pool2d max_pool3d")
AVERAGE_POOLS = words("avg_pool1d avg_pool2d avg_pool3d")
ACTIVATIONS = words(
    "relu relu6 leaky_relu elu celu selu gelu silu mish softplus softsign sigmoid logsigmoid tanh hardtanh hardswish "
    "hardsigmoid hardshrink softshrink tanhshrink threshold rrelu prelu clamp clip clamp_min clamp_max abs exp log log1p "
    "sqrt rsqrt square neg pow sin cos sign reciprocal erf nan_to_num rpow"
)
SUMS = words("add sub subtract rsub iadd isub radd")
PRODUCTS = words("mul multiply div divide true_divide truediv rtruediv imul rmul idiv itruediv rdiv")
JOINS = words("where maximum minimum fmax fmin gt lt ge le eq ne logical_and logical_or lerp")
# The same values in the same places under another name.
SAME = words("contiguous to clone detach float double half bfloat16 type_as cpu cuda data alias requires_grad")
DROPOUTS = words("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout")
REDUCTIONS = words("mean sum amax amin var std logsumexp")


def read(call: Call) -> Step:
    """What `call` did."""
    reader = READERS.get(call.name)
    if reader is None or (not all(call.layouts) and call.name not in ANYWHERE):
        return unknown(call)
    return reader(call)


def _linear(call: Call) -> Step:
    if call.layout and call.layout[-1] in ("C", "F"):
        return Step(VECTOR if call.layout == ROW else call.layout, {"op": "fc"})
    if call.layout == UNKNOWN:
        return Step(lay.guess(call.result.shape, call.axes), {"op": "fc"})
    return Step(lay.guess(call.result.shape, call.axes), {**unknown(call).fields, "op": "fc"})


def _batch_norm(call: Call) -> Step:
    # Without running statistics it normalizes by those of the image, which mixes all of a channel.
    mixes = bool(call.given("training", 5) or call.given("use_input_stats", 5))
    return Step(call.layout, {"op": "norm", **(_whole(call, groups=_channels(call)) if mixes else {})})


def _instance_norm(call: Call) -> Step:
    mixes = bool(call.given("use_input_stats", 5, True))
    return Step(call.layout, {"op": "norm", **(_whole(call, groups=_channels(call)) if mixes else {})})


def _group_norm(call: Call) -> Step:
    return Step(call.layout, {"op": "norm", **_whole(call, groups=call.given("num_groups", 1))})


def _layer_norm(call: Call) -> Step:
    if not call.layout:
        return Step(UNKNOWN, {"op": "norm"})
    over = call.layout[-len(tuple(call.given("normalized_shape", 1))) :]
    return Step(call.layout, {"op": "norm", **_along(call, over)})


def _softmax(call: Call) -> Step:
    dim = call.given("dim", 1)
    if dim is None or not call.layout:
        return unknown(call)
    return Step(call.layout, {"op": "activation", **_along(call, (call.layout[dim],))})


def _along(call: Call, over: Sequence[str | int]) -> dict[str, Any]:
    """The fields of a node that mixes along the axes `over` and keeps the shape."""
    spatial = {label for label in over if isinstance(label, int)}
    if "F" in over or spatial == set(range(call.axes)):
        return _whole(call, groups=1 if {"C", "F"} & set(over) else _channels(call))
    # Along some axes of the image only: to say that it mixes all of them bounds it.
    return _whole(call, groups=1) | {"certainty": "upper bound"} if spatial else {}


def _whole(call: Call, groups: int) -> dict[str, Any]:
    bound = {"certainty": "upper bound"} if call.layout == ROW and groups > 1 else {}
    return {"whole": True, "groups": groups, **bound}


def _channels(call: Call) -> int:
    return lay.shape_of(call.layout, call.inputs[0].shape)[0]


def _activation(call: Call) -> Step:
    return _elementwise(call, "activation" if len(call.inputs) == 1 else "other")


def _dropout(call: Call) -> Step:
    return _elementwise(call, "dropout")


def _sum(call: Call) -> Step:
    return _elementwise(call, "add")


def _product(call: Call) -> Step:
    return _elementwise(call, "multiply")


def _join(call: Call) -> Step:
    return _elementwise(call, "other")


def _elementwise(call: Call, op: str) -> Step:
    if len(set(call.layouts)) > 1 or len(call.layout) not in (0, len(call.result.shape)):
        return unknown(call)
    return Step(call.layout, {"op": op})


def _concat(call: Call) -> Step:
    dim, first = call.given("dim", 1, 0), call.layout
    if len(set(call.layouts)) > 1 or not isinstance(dim, int) or first[dim] not in ("C", "F"):
        return unknown(call)
    return Step(first, {"op": "concat"})


def _reduce(call: Call) -> Step:
    dims = call.given("dim", 1)
    if dims is None or isinstance(dims, bool) or not call.layout:
        return unknown(call)
    over = {call.layout[dim] for dim in ([dims] if isinstance(dims, int) else dims)}
    keeps = len(call.result.shape) == len(call.layout)
    if over == set(range(call.axes)):
        return Step(call.layout if keeps else tuple(label for label in call.layout if label not in over), {"op": "gap"})
    return Step(call.layout, {"op": "other"}) if over == {"C"} and keeps and len(call.layout) > 2 else unknown(call)


def _reshape(call: Call) -> Step:
    before, after = tuple(call.inputs[0].shape), tuple(call.result.shape)
    if before == after:
        return Step(call.layout)
    layout = lay.reshape(call.layout, before, after, call.axes)
    if not layout:
        return unknown(call)
    return Step(layout, {"op": "flatten"} if len(after) == 2 < len(before) else {})


def _permute(call: Call) -> Step:
    order: Any = call.given("dims", 1)
    order = call.args[1:] if isinstance(order, int) else order
    return Step(lay.permute(call.layout, order))


def _transpose(call: Call) -> Step:
    order = list(range(len(call.layout)))
    one, other = call.given("dim0", 1), call.given("dim1", 2)
    order[one], order[other] = order[other], order[one]
    return Step(lay.permute(call.layout, order))


def _parts(call: Call) -> Step:
    """One of the parts that channels are cut into."""
    dim = call.given("dim", 2, 0)
    return Step(call.layout, {"op": "other"}) if call.layout[dim] == "C" else unknown(call)


def _unsqueeze(call: Call) -> Step:
    # Half way from (N, C) to (N, C, 1, 1): known again when all axes are there.
    return unknown(call) if call.layout != VECTOR or call.axes != 1 else Step(lay.image(1))


def _same(call: Call) -> Step:
    return Step(call.layout)


def _channelwise(call: Call) -> Step:
    return Step(call.layout, {"op": "norm"}) if call.is_image else unknown(call)


def _shuffle(call: Call) -> Step:
    return Step(call.layout, {"op": "other"}) if call.is_image else unknown(call)


def _names(names: str, reader: Reader) -> dict[str, Reader]:
    return dict.fromkeys(names.split(), reader)


READERS: dict[str, Reader] = {
    **dict.fromkeys(CONVOLUTIONS, windows.conv),
    **_names("linear", _linear),
    **dict.fromkeys(MAX_POOLS, windows.max_pool),
    **dict.fromkeys(AVERAGE_POOLS, windows.avg_pool),
    **_names("lp_pool1d lp_pool2d lp_pool3d", windows.lp_pool),
    **_names("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", windows.adaptive),
    **_names("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d", windows.adaptive),
    **_names("batch_norm", _batch_norm),
    **_names("instance_norm", _instance_norm),
    **_names("group_norm", _group_norm),
    **_names("layer_norm", _layer_norm),
    **_names("local_response_norm", _channelwise),
    **_names("softmax log_softmax", _softmax),
    **dict.fromkeys(ACTIVATIONS, _activation),
    **dict.fromkeys(DROPOUTS, _dropout),
    **dict.fromkeys(SUMS, _sum),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(JOINS, _join),
    **_names("cat concat concatenate", _concat),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **_names("flatten view reshape squeeze view_as reshape_as", _reshape),
    **_names("permute", _permute),
    **_names("transpose swapaxes swapdims", _transpose),
    **_names("pad", windows.pad),
    **_names("getitem", windows.item),
    **_names("chunk split tensor_split", _parts),
    **_names("unsqueeze", _unsqueeze),
    **_names("interpolate upsample", windows.interpolate),
    **_names("channel_shuffle", _shuffle),
    **dict.fromkeys(SAME, _same),
}
# Understood even where the layout is not: they keep the shape, or say themselves what they multiply by.
ANYWHERE = {
    "linear",
    "layer_norm",
    *CONVOLUTIONS,
    *MAX_POOLS,
    *AVERAGE_POOLS,
    *ACTIVATIONS,
    *DROPOUTS,
    *SUMS,
    *PRODUCTS,
    *JOINS,
    *SAME,
}
