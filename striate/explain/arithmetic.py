"""The arithmetic of one unit: what is multiplied and added, step by step, in NumPy and float64, beside the network's own value.

The arguments of each step (the map before it, the kernel, the statistics of a norm) are read from the network's own call, so the
recomputed value is an independent check of what the network did there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from striate.core.errors import NetworkError
from striate.explain.traced import RecordedCall, TracedNetwork
from striate.nets.layers import shape_text
from striate.nets.pytorch.trace.call import one_per_axis

EMPTY = np.zeros(0)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation at one unit. `value` is the network's own, `recomputed` ours, `text` the calculation in a line.

    Where a window is read: `window` (channels, *sides) with 0 in the padding, where `inside` is False, and `kernel` of the same shape;
    the value is the sum of their products, and the bias.
    """

    node: str
    unit: tuple[int, ...]
    value: float
    recomputed: float
    text: str
    window: np.ndarray = field(default_factory=lambda: EMPTY)
    kernel: np.ndarray = field(default_factory=lambda: EMPTY)
    inside: np.ndarray = field(default_factory=lambda: EMPTY)
    channels: tuple[int, ...] = ()  # of the map before, which the window has

    @property
    def products(self) -> np.ndarray:
        return self.window * self.kernel

    @property
    def difference(self) -> float:
        """Between both values, relative to the larger of the value and 1."""
        return abs(self.value - self.recomputed) / max(1.0, abs(self.value))


def unit_arithmetic(network: TracedNetwork, image: Tensor, layer: str, unit: tuple[int, ...]) -> list[Step]:
    """The steps of a unit of a layer: the convolution (or sum, or pool), its norm, its activation; or of one node.

    Raises:
        NetworkError: for a unit that does not exist, or an operation whose arithmetic is not known.
    """
    is_node = layer in network.graph and layer not in network.graph.layers
    names = (
        [layer]
        if is_node
        else [node.name for node in network.graph.nodes if node.layer == layer and node.op != "input"]
    )
    return [step(network, image, name, unit) for name in names or [network.node(layer).name]]


def step(network: TracedNetwork, image: Tensor, name: str, unit: tuple[int, ...]) -> Step:
    """One node's arithmetic at one unit."""
    shape = network.graph[name].output_shape
    if len(unit) != len(shape) or not all(0 <= index < side for index, side in zip(unit, shape, strict=True)):
        raise NetworkError(
            f"unit {' '.join(map(str, unit))}: '{name}' gives {shape_text(shape)} values; give one index for each axis"
        )
    call = network.call(image[None], name)
    if call.function not in STEPS:
        raise NetworkError(
            f"layer '{name}': the arithmetic of {call.function}() is not known; choose a convolution, a linear layer, a batch, group or "
            "instance norm, a pool, a sum, a product or a common activation"
        )
    value = network.values(image[None], [name])[name][(0, *unit)].item()
    recomputed = STEPS[call.function](call, unit)
    return Step(
        node=name, unit=unit, value=value, recomputed=recomputed.value, text=recomputed.text, **recomputed.window
    )


@dataclass(frozen=True)
class _Result:
    value: float
    text: str
    window: dict[str, Any] = field(default_factory=dict)  # fields of Step


def _array(tensor: object) -> np.ndarray:
    """A tensor as float64, without the axis of the batch kept apart; a number as an array of it."""
    return np.asarray(tensor.detach().cpu() if isinstance(tensor, Tensor) else tensor, np.float64)


def _window(
    x: np.ndarray,
    position: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Values of (channels, *sides) under a kernel at a position of the output, 0 in the padding; and what is inside."""
    taps = [
        np.arange(k) * d + i * s - p for k, d, i, s, p in zip(kernel, dilation, position, stride, padding, strict=True)
    ]
    within = [(tap >= 0) & (tap < side) for tap, side in zip(taps, x.shape[1:], strict=True)]
    inside = np.ones((), bool)
    for along in within:
        inside = np.logical_and.outer(inside, along)
    clipped = [tap.clip(0, side - 1) for tap, side in zip(taps, x.shape[1:], strict=True)]
    return np.where(inside, x[np.ix_(np.arange(len(x)), *clipped)], 0.0), inside


def _conv(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    x, weight, bias = _array(call.args[0])[0], _array(call.argument("weight", 1)), call.argument("bias", 2)
    axes, kernel = x.ndim - 1, weight.shape[2:]
    dilation, padding = one_per_axis(axes, call.argument("dilation", 5, 1)), call.argument("padding", 4, 0)
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    padding = one_per_axis(axes, 0 if padding == "valid" else padding)
    group = unit[0] // (len(weight) // call.argument("groups", 6, 1))
    first = group * weight.shape[1]
    stride = one_per_axis(axes, call.argument("stride", 3, 1))
    window, inside = _window(x[first : first + weight.shape[1]], unit[1:], kernel, stride, padding, dilation)
    return _weighted_sum(window, weight[unit[0]], bias, unit, inside, first)


def _linear(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    x, weight, bias = _array(call.args[0])[0], _array(call.argument("weight", 1)), call.argument("bias", 2)
    if x.ndim != 1:
        raise NetworkError(
            "linear: the arithmetic is known for vectors, and this layer is applied at each position of a map"
        )
    return _weighted_sum(x, weight[unit[0]], bias, unit, np.ones((), bool), 0)


def _weighted_sum(
    window: np.ndarray, kernel: np.ndarray, bias: object, unit: tuple[int, ...], inside: np.ndarray, first: int
) -> _Result:
    total, shift = float((window * kernel).sum()), 0.0 if bias is None else float(_array(bias)[unit[0]])
    text = f"{window.size} products, sum {total:.4g}, bias {shift:+.4g} = {total + shift:.4g}"
    channels = tuple(range(first, first + len(window)))
    return _Result(
        total + shift,
        text,
        {"window": window, "kernel": kernel, "inside": inside, "channels": channels},
    )


def _batch_norm(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    x, channel = _array(call.args[0])[0], unit[0]
    if call.argument("training", 5) or call.argument("running_mean", 1) is None:
        return _normalized(call, unit, x[channel], 3, 4, 7)
    mean, variance = (float(_array(call.argument(*key))[channel]) for key in (("running_mean", 1), ("running_var", 2)))
    return _scaled(call, unit, x, mean, variance, 3, 4, float(call.argument("eps", 7, 1e-5)))


def _group_norm(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    x = _array(call.args[0])[0]
    size = len(x) // call.argument("num_groups", 1)
    first = unit[0] // size * size
    return _normalized(call, unit, x[first : first + size], 2, 3, 4)


def _instance_norm(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    return _normalized(call, unit, _array(call.args[0])[0][unit[0]], 3, 4, 7)


def _normalized(
    call: RecordedCall, unit: tuple[int, ...], over: np.ndarray, weight: int, bias: int, eps: int
) -> _Result:
    """By the mean and the variance of `over`, a part of the image's own values."""
    x = _array(call.args[0])[0]
    return _scaled(
        call, unit, x, float(over.mean()), float(over.var()), weight, bias, float(call.argument("eps", eps, 1e-5))
    )


def _scaled(
    call: RecordedCall,
    unit: tuple[int, ...],
    x: np.ndarray,
    mean: float,
    variance: float,
    weight: int,
    bias: int,
    eps: float,
) -> _Result:
    scales = [call.argument("weight", weight), call.argument("bias", bias)]
    scale, shift = (
        default if part is None else float(_array(part)[unit[0]])
        for part, default in zip(scales, (1.0, 0.0), strict=True)
    )
    before = float(x[unit])
    value = (before - mean) / math.sqrt(variance + eps) * scale + shift
    text = f"({before:.4g} - mean {mean:.4g}) / sqrt(variance {variance:.4g} + {eps:g}) * {scale:.4g} {shift:+.4g} = {value:.4g}"
    return _Result(value, text)


def _max_pool(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    window, inside = _pool_window(call, unit, call.argument("padding", 3, 0), call.argument("dilation", 4, 1))
    value = float(window[:, inside].max())
    return _Result(
        value, f"the largest of {int(inside.sum())} values = {value:.4g}", {"window": window, "inside": inside}
    )


def _avg_pool(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    padding = call.argument("padding", 3, 0)
    window, inside = _pool_window(call, unit, padding)
    if call.argument("ceil_mode", 4, False) and not inside.all():
        raise NetworkError("avg_pool: the arithmetic of a window cut by ceil_mode is not known")
    counts_padding = call.argument("count_include_pad", 5, True)
    count = call.argument("divisor_override", 6) or (window.size if counts_padding else int(inside.sum()))
    value = float(window.sum()) / count
    return _Result(
        value, f"sum {float(window.sum()):.4g} / {count} = {value:.4g}", {"window": window, "inside": inside}
    )


def _pool_window(
    call: RecordedCall, unit: tuple[int, ...], padding: int | tuple[int, ...], dilation: int | tuple[int, ...] = 1
) -> tuple[np.ndarray, np.ndarray]:
    x = _array(call.args[0])[0]
    axes = x.ndim - 1
    kernel = one_per_axis(axes, call.argument("kernel_size", 1))
    stride = one_per_axis(axes, call.argument("stride", 2) or kernel)
    sizes = (one_per_axis(axes, padding), one_per_axis(axes, dilation))
    return _window(x[unit[0] : unit[0] + 1], unit[1:], kernel, stride, *sizes)


def _mean(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    """A global average pool, written as a mean over all positions."""
    x = _array(call.args[0])[0]
    values = x[unit[0]]
    dims = call.argument("dim", 1)
    if call.function == "mean" and {d % (x.ndim + 1) for d in ([dims] if isinstance(dims, int) else dims)} != set(
        range(2, x.ndim + 1)
    ):
        raise NetworkError("mean: the arithmetic is known for means over all positions of a map")
    if call.function != "mean" and set(one_per_axis(x.ndim - 1, call.argument("output_size", 1))) != {1}:
        raise NetworkError(f"{call.function}: the arithmetic is known for an output of one position")
    value = float(values.mean())
    return _Result(value, f"sum {values.sum():.4g} / {values.size} = {value:.4g}")


def _add(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    factor = float(call.argument("alpha", 2, 1)) * (-1 if "sub" in call.function else 1)
    first, second = (_at(part, unit) for part in call.args[:2])
    value = first + factor * second
    return _Result(value, f"{first:.4g} {'-' if factor < 0 else '+'} {abs(factor) * second:.4g} = {value:.4g}")


def _multiply(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
    first, second = (_at(part, unit) for part in call.args[:2])
    return _Result(first * second, f"{first:.4g} * {second:.4g} = {first * second:.4g}")


def _at(part: object, unit: tuple[int, ...]) -> float:
    """A unit's value of an operand, which may be one number, or one for each channel."""
    array = _array(part)
    if not isinstance(part, Tensor) or array.ndim <= 1:
        return float(array.flatten()[0]) if array.size == 1 else float(array[unit[-1]])
    values = array[0] if array.ndim == len(unit) + 1 else array
    return float(values[tuple(min(index, side - 1) for index, side in zip(unit, values.shape, strict=True))])


def _activation(function: Callable[[float, RecordedCall], float]) -> Callable[[RecordedCall, tuple[int, ...]], _Result]:
    def compute(call: RecordedCall, unit: tuple[int, ...]) -> _Result:
        before = _at(call.args[0], unit)
        value = function(before, call)
        return _Result(value, f"{call.function}({before:.4g}) = {value:.4g}")

    return compute


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _gelu(x: float, call: RecordedCall) -> float:
    if call.argument("approximate", 1, "none") != "none":
        return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + math.erf(x / math.sqrt(2)))


def _bounded(x: float, low: object, high: object) -> float:
    return min(max(x, -math.inf if low is None else float(low)), math.inf if high is None else float(high))  # type: ignore[arg-type]


_Compute = Callable[[RecordedCall, tuple[int, ...]], _Result]
STEPS: dict[str, _Compute] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _conv),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), _max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _avg_pool),
    **dict.fromkeys(("mean", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), _mean),
    **dict.fromkeys(("add", "iadd", "radd", "sub", "isub"), _add),
    **dict.fromkeys(("mul", "imul", "rmul"), _multiply),
    "relu": _activation(lambda x, _: max(x, 0.0)),
    "relu6": _activation(lambda x, _: _bounded(x, 0, 6)),
    "hardtanh": _activation(
        lambda x, call: _bounded(x, call.argument("min_val", 1, -1), call.argument("max_val", 2, 1))
    ),
    **dict.fromkeys(
        ("clamp", "clip"), _activation(lambda x, call: _bounded(x, call.argument("min", 1), call.argument("max", 2)))
    ),
    "clamp_min": _activation(lambda x, call: _bounded(x, call.argument("min", 1), None)),
    "threshold": _activation(
        lambda x, call: x if x > call.argument("threshold", 1) else float(call.argument("value", 2))
    ),
    "leaky_relu": _activation(lambda x, call: x if x > 0 else x * call.argument("negative_slope", 1, 0.01)),
    "elu": _activation(lambda x, call: x if x > 0 else call.argument("alpha", 1, 1.0) * math.expm1(x)),
    "gelu": _activation(_gelu),
    "silu": _activation(lambda x, _: x * _sigmoid(x)),
    "softplus": _activation(lambda x, _: max(x, 0.0) + math.log1p(math.exp(-abs(x)))),
    "sigmoid": _activation(lambda x, _: _sigmoid(x)),
    "tanh": _activation(lambda x, _: math.tanh(x)),
    "dropout": _activation(lambda x, _: x),
}
