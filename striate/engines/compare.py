"""Both engines on the same network, layer by layer: how much their results differ, and the time of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from striate.engines.pytorch.layer_gradients import LayerGradients, Pads, TorchLayers
from striate.engines.scratch import layers
from striate.engines.scratch.build import build
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.optimized.layers import OPTIMIZED
from striate.engines.scratch.threads import ThreadTeam
from striate.nets import NetworkConfig
from striate.nets.layers import Shape
from striate.nets.resolve import resolve

IMAGES = 16
REPEATS = 5
PRECISIONS = ("float32", "float64")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Agreement:
    """A layer in both engines, in one precision."""

    # The largest difference relative to the largest value: of the output ("forward"), and of the gradients of the input
    # ("input") and of each parameter.
    difference: dict[str, float]
    numpy_ms: float  # forward and backward, the fastest of several
    torch_ms: float


@dataclass(frozen=True)
class LayerComparison:
    """A layer in both engines."""

    layer: str
    output: tuple[int, ...]  # the shape of the output in NumPy: rows, columns, channels
    float32: Agreement
    float64: Agreement


def compare(network: NetworkConfig, input_shape: Shape, classes: int) -> list[LayerComparison]:
    """Run each layer in both engines on the same input and the same gradient, so that a difference is the layer's own.

    Dropout is left out, because its random numbers differ.

    Raises:
        NetworkError: for a network that the engine from scratch does not have.
    """
    single, double = (_agreements(network, input_shape, classes, precision) for precision in PRECISIONS)
    return [LayerComparison(name, shape, agreement, double[name][1]) for name, (shape, agreement) in single.items()]


def _agreements(
    network: NetworkConfig, input_shape: Shape, classes: int, precision: str
) -> dict[str, tuple[tuple[int, ...], Agreement]]:
    """By layer: the shape of the output, and how far the engines agree."""
    unfrozen = network.replace(freeze="none")  # frozen parameters have no gradient to compare
    chain = build(unfrozen, input_shape, classes, 0, np, precision, OPTIMIZED)
    blocks = [layer.name for layer in resolve(unfrozen, input_shape, classes) if layer.body]
    torch_layers = TorchLayers(unfrozen, input_shape, classes, precision, blocks)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((IMAGES, *input_shape[1:], input_shape[0])).astype(precision)
    agreements = {}
    for layer in chain.layers:
        layer.needs_input_grad = True
        if isinstance(layer, layers.Dropout):
            continue
        y = layer.forward(x, _context())
        g = rng.standard_normal(y.shape).astype(precision)
        context = _context()
        (output, of_input), numpy_ms = _fastest(_forward_backward(layer, x, g, context))
        in_numpy = LayerGradients(
            _channels_first(output), _channels_first(of_input), _parameter_gradients(layer, context)
        )
        pads: Pads = layer.window.pads if isinstance(layer, layers.Convolution | layers.Windowed) else ((0, 0), (0, 0))
        in_torch, torch_ms = _fastest(torch_layers.run(layer.name, _channels_first(x), _channels_first(g), pads))
        agreements[layer.name] = y.shape[1:], Agreement(_differences(in_numpy, in_torch), numpy_ms, torch_ms)
        x = np.array(output)  # a copy, because the layer writes into the same array again
    return agreements


def _context() -> ForwardContext:
    return ForwardContext(ThreadTeam(), IMAGES, is_training=True)


def _forward_backward(
    layer: layers.Layer, x: np.ndarray, g: np.ndarray, context: ForwardContext
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return lambda: (layer.forward(x, context), layer.backward(g, context))


def _parameter_gradients(layer: layers.Layer, context: ForwardContext) -> dict[str, np.ndarray]:
    """By the parameter's name in the layer, in PyTorch's order of axes."""
    axes = {f"{leaf.name}.{key}": order for leaf in layer.leaf_layers() for key, order in leaf.torch_axes.items()}
    return {
        name.removeprefix(f"{layer.name}."): array.transpose(axes[name]) if name in axes else array
        for name, array in context.gradients.items()
    }


def _differences(ours: LayerGradients, reference: LayerGradients) -> dict[str, float]:
    return {
        "forward": _difference(ours.output, reference.output),
        "input": _difference(ours.input, reference.input),
        **{name: _difference(array, reference.parameters[name]) for name, array in ours.parameters.items()},
    }


def _difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    largest = max(float(np.max(np.abs(reference))), np.finfo(reference.dtype).tiny)
    return float(np.max(np.abs(ours - reference)) / largest)


def _fastest(function: Callable[[], Result]) -> tuple[Result, float]:
    """The result, and the milliseconds of the fastest of several calls."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - started)
    return result, 1000 * min(seconds)


def _channels_first(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)) if array.ndim == 4 else np.ascontiguousarray(array)
