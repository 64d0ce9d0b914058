"""What one call of a torch function does to positions: a function for each kind of call, in one table.

A call is read by the name of its function and the shapes of its inputs and result, never by its values. A function
that the table does not have is "other": every value may depend on every position, and the field is an upper bound.
"""

from collections.abc import Sequence
from dataclasses import replace

from striate.nets.graph.graph import Op
from striate.nets.pytorch.trace import windows
from striate.nets.pytorch.trace.axes import (
    ROW,
    UNKNOWN,
    VECTOR,
    guess_layout,
    image_layout,
    permute_layout,
    reshape_layout,
    shape_of,
)
from striate.nets.pytorch.trace.call import Call, Effect, Operation, Reader, unknown, words

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
# The same values in the same positions.
IDENTITIES = words("contiguous to clone detach float double half bfloat16 type_as cpu cuda data alias requires_grad")
DROPOUTS = words("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout")
REDUCTIONS = words("mean sum amax amin var std logsumexp")


def read(call: Call) -> Effect:
    """The effect of `call`."""
    reader = READERS.get(call.name)
    if reader is None or (not all(call.layouts) and call.name not in READ_WITHOUT_LAYOUT):
        return unknown(call)
    return reader(call)


def _linear(call: Call) -> Effect:
    if call.layout and call.layout[-1] in ("C", "F"):
        return Effect(VECTOR if call.layout == ROW else call.layout, Operation(op="fc"))
    if call.layout == UNKNOWN:
        return Effect(guess_layout(call.result.shape, call.axes), Operation(op="fc"))
    return unknown(call, op="fc")


def _batch_norm(call: Call) -> Effect:
    # Without running statistics it normalizes by those of the image, which mixes all of a channel.
    uses_image_statistics = bool(call.argument("training", 5) or call.argument("use_input_stats", 5))
    return _norm_per_channel(call, uses_image_statistics)


def _instance_norm(call: Call) -> Effect:
    return _norm_per_channel(call, bool(call.argument("use_input_stats", 5, True)))


def _norm_per_channel(call: Call, uses_image_statistics: bool) -> Effect:
    norm = Operation(op="norm")
    return Effect(call.layout, _mixes_all(call, norm, _channels(call)) if uses_image_statistics else norm)


def _group_norm(call: Call) -> Effect:
    return Effect(call.layout, _mixes_all(call, Operation(op="norm"), call.argument("num_groups", 1)))


def _layer_norm(call: Call) -> Effect:
    if not call.layout:
        return Effect(UNKNOWN, Operation(op="norm"))
    over = call.layout[-len(tuple(call.argument("normalized_shape", 1))) :]
    return Effect(call.layout, _mixes_along(call, Operation(op="norm"), over))


def _softmax(call: Call) -> Effect:
    dim = call.argument("dim", 1)
    if dim is None or not call.layout:
        return unknown(call)
    return Effect(call.layout, _mixes_along(call, Operation(op="activation"), (call.layout[dim],)))


def _mixes_along(call: Call, operation: Operation, over: Sequence[str | int]) -> Operation:
    """`operation`, which mixes values along the axes `over` and keeps the shape."""
    spatial = {label for label in over if isinstance(label, int)}
    if "F" in over or spatial == set(range(call.axes)):
        return _mixes_all(call, operation, groups=1 if {"C", "F"} & set(over) else _channels(call))
    if spatial:
        # Along some axes of the image only: that it mixes all of them is an upper bound.
        return replace(_mixes_all(call, operation, groups=1), certainty="upper bound")
    return operation


def _mixes_all(call: Call, operation: Operation, groups: int) -> Operation:
    """`operation`, which mixes all positions within each of `groups` groups of channels."""
    is_bound = call.layout == ROW and groups > 1
    return replace(operation, whole=True, groups=groups, certainty="upper bound" if is_bound else operation.certainty)


def _channels(call: Call) -> int:
    return shape_of(call.layout, call.inputs[0].shape)[0]


def _activation(call: Call) -> Effect:
    return _elementwise(call, "activation" if len(call.inputs) == 1 else "other")


def _dropout(call: Call) -> Effect:
    return _elementwise(call, "dropout")


def _sum(call: Call) -> Effect:
    return _elementwise(call, "add")


def _product(call: Call) -> Effect:
    return _elementwise(call, "multiply")


def _join(call: Call) -> Effect:
    return _elementwise(call, "other")


def _elementwise(call: Call, op: Op) -> Effect:
    if len(set(call.layouts)) > 1 or len(call.layout) not in (0, len(call.result.shape)):
        return unknown(call)
    return Effect(call.layout, Operation(op=op))


def _concat(call: Call) -> Effect:
    dim, first = call.argument("dim", 1, 0), call.layout
    if len(set(call.layouts)) > 1 or not isinstance(dim, int) or first[dim] not in ("C", "F"):
        return unknown(call)
    return Effect(first, Operation(op="concat"))


def _reduce(call: Call) -> Effect:
    dims = call.argument("dim", 1)
    if dims is None or isinstance(dims, bool) or not call.layout:
        return unknown(call)
    over = {call.layout[dim] for dim in ([dims] if isinstance(dims, int) else dims)}
    keeps_axes = len(call.result.shape) == len(call.layout)
    if over == set(range(call.axes)):
        layout = call.layout if keeps_axes else tuple(label for label in call.layout if label not in over)
        return Effect(layout, Operation(op="gap"))
    if over == {"C"} and keeps_axes and len(call.layout) > 2:
        return Effect(call.layout, Operation(op="other"))
    return unknown(call)


def _reshape(call: Call) -> Effect:
    before, after = tuple(call.inputs[0].shape), tuple(call.result.shape)
    if before == after:
        return Effect(call.layout)
    layout = reshape_layout(call.layout, before, after, call.axes)
    if not layout:
        return unknown(call)
    return Effect(layout, Operation(op="flatten") if len(after) == 2 < len(before) else None)


def _permute(call: Call) -> Effect:
    dims = call.argument("dims", 1)
    return Effect(permute_layout(call.layout, call.args[1:] if isinstance(dims, int) else dims))


def _transpose(call: Call) -> Effect:
    order = list(range(len(call.layout)))
    first, second = call.argument("dim0", 1), call.argument("dim1", 2)
    order[first], order[second] = order[second], order[first]
    return Effect(permute_layout(call.layout, order))


def _split(call: Call) -> Effect:
    """One of the parts into which channels are split."""
    dim = call.argument("dim", 2, 0)
    return Effect(call.layout, Operation(op="other")) if call.layout[dim] == "C" else unknown(call)


def _unsqueeze(call: Call) -> Effect:
    # Between (N, C) and (N, C, 1, 1): known only when all axes exist.
    return unknown(call) if call.layout != VECTOR or call.axes != 1 else Effect(image_layout(1))


def _identity(call: Call) -> Effect:
    return Effect(call.layout)


def _local_response_norm(call: Call) -> Effect:
    return Effect(call.layout, Operation(op="norm")) if call.has_one_map else unknown(call)


def _channel_shuffle(call: Call) -> Effect:
    return Effect(call.layout, Operation(op="other")) if call.has_one_map else unknown(call)


READERS: dict[str, Reader] = {
    **dict.fromkeys(CONVOLUTIONS, windows.conv),
    **dict.fromkeys(MAX_POOLS, windows.max_pool),
    **dict.fromkeys(AVERAGE_POOLS, windows.avg_pool),
    **dict.fromkeys(words("lp_pool1d lp_pool2d lp_pool3d"), windows.lp_pool),
    **dict.fromkeys(words("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"), windows.adaptive_pool),
    **dict.fromkeys(words("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"), windows.adaptive_pool),
    **dict.fromkeys(words("softmax log_softmax"), _softmax),
    **dict.fromkeys(ACTIVATIONS, _activation),
    **dict.fromkeys(DROPOUTS, _dropout),
    **dict.fromkeys(SUMS, _sum),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(JOINS, _join),
    **dict.fromkeys(words("cat concat concatenate"), _concat),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(words("flatten view reshape squeeze view_as reshape_as"), _reshape),
    **dict.fromkeys(words("transpose swapaxes swapdims"), _transpose),
    **dict.fromkeys(words("chunk split tensor_split"), _split),
    **dict.fromkeys(words("interpolate upsample"), windows.interpolate),
    **dict.fromkeys(IDENTITIES, _identity),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "local_response_norm": _local_response_norm,
    "permute": _permute,
    "pad": windows.pad,
    "getitem": windows.getitem,
    "unsqueeze": _unsqueeze,
    "channel_shuffle": _channel_shuffle,
}
# Understood even for an unknown layout: they keep the shape, or their arguments tell what they multiply by.
READ_WITHOUT_LAYOUT = {
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
    *IDENTITIES,
}
