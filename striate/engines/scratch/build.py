"""From a network's config to layers that compute, with PyTorch's names and the initial weights that every engine has."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from striate.core.errors import NetworkError
from striate.engines.scratch import layers
from striate.engines.scratch.ops.windows import Pair, Window
from striate.nets import init
from striate.nets.config import NetworkConfig
from striate.nets.freezing import frozen_parameters
from striate.nets.layers import (
    Activate,
    Activation,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Normalize,
    Pool,
    Residual,
    Shape,
    Subsample,
    per_axis,
)
from striate.nets.resolve import resolve
from striate.nets.resolved import ResolvedLayer

# For these the max pool can come first: f(max(x)) is max(f(x)), with a quarter of the work for f in a pool of 2x2.
MONOTONIC: frozenset[Activation] = frozenset({"relu", "leaky_relu", "elu", "softplus", "sigmoid", "tanh"})
CURE = "use the PyTorch engine (recipe.engine=torch)"
Replacements = Mapping[type[layers.Layer], type[layers.Layer]]


def check(network: NetworkConfig, engine: str) -> None:
    """Refuse a network that only the PyTorch engine can train.

    Raises:
        NetworkError: naming the layer and the engine that has it.
    """
    if network.is_foreign:
        raise NetworkError(f"recipe.engine: {engine} has no {network.title}, which is a PyTorch module; {CURE}")
    if network.dims != 2:
        kind = next((layer.kind for layer in network.parsed), "conv")
        raise NetworkError(f"recipe.engine: {engine} has no 3D {kind} (network.dims: 3); {CURE}")


def build(
    network: NetworkConfig,
    input_shape: Shape,
    classes: int,
    seed: int,
    xp: Any = np,
    dtype: str = "float32",
    replacements: Replacements | None = None,
) -> layers.Chain:
    """The layers for images of `input_shape` (channels, height, width), with the initial weights of `seed`.

    `replacements` names layers that take the place of others: the optimized ones.

    Raises:
        NetworkError: for a network that does not fit the images, or that only the PyTorch engine has.
    """
    check(network, xp.__name__)
    resolved = resolve(network, input_shape, classes)
    sequence = _Builder(seed, xp, dtype, replacements or {}).sequence(resolved)
    if network.logit_scale != 1:
        sequence.append(layers.Scale("logit_scale", network.logit_scale))
    chain = layers.Chain("", sequence)
    frozen = frozen_parameters(network.freeze, resolved)
    for layer in chain.leaf_layers():
        layer.is_frozen = any(f"{layer.name}.{key}" in frozen for key in layer.parameters)
    _skip_unused_input_gradients(chain)
    return chain


def _skip_unused_input_gradients(chain: layers.Chain) -> None:
    """The backward pass ends at the first layer that learns."""
    for layer in chain.layers:
        if any(leaf.parameters and not leaf.is_frozen for leaf in layer.leaf_layers()):
            layer.needs_input_grad = False
            return


class _Builder:
    """Makes the layers of a sequence."""

    def __init__(self, seed: int, xp: Any, dtype: str, replacements: Replacements) -> None:
        self.seed, self.xp, self.dtype, self.replacements = seed, xp, dtype, replacements

    def sequence(self, resolved_layers: tuple[ResolvedLayer, ...]) -> list[layers.Layer]:
        made: list[layers.Layer] = []
        for resolved in resolved_layers:
            made += self._with_norm_and_activation(resolved)
            if resolved.is_last and len(resolved.output_shape) > 1:
                made.append(layers.Flatten("logits", None))
        return _pools_first(made)

    def _with_norm_and_activation(self, resolved: ResolvedLayer) -> list[layers.Layer]:
        """The layer and what follows it, in the order that the config says."""
        name = resolved.name
        if isinstance(resolved.layer, Normalize):
            return self._norm(resolved, name)
        if isinstance(resolved.layer, Activate):
            return self._activation(resolved, name)
        norm, activation = self._norm(resolved, f"{name}_norm"), self._activation(resolved, f"{name}_activation")
        if isinstance(resolved.layer, Residual):
            return [self._residual(resolved), *activation]
        first, second = (norm, activation) if resolved.norm_first else (activation, norm)
        return [self._layer(resolved), *first, *second]

    def _residual(self, resolved: ResolvedLayer) -> layers.Layer:
        body, shortcut = (
            layers.Chain(resolved.name, self.sequence(part)) for part in (resolved.body, resolved.shortcut)
        )
        return self._made(layers.Residual, resolved.name, body, shortcut)

    def _layer(self, resolved: ResolvedLayer) -> layers.Layer:
        layer, name = resolved.layer, resolved.name
        match layer:
            case Conv():
                kernel, stride, dilation = (_pair(size) for size in (layer.kernel, layer.stride, layer.dilation))
                rows, columns = layer.pads(2)
                window = Window(kernel, stride, dilation, (rows, columns))
                return self._with_weights(self._made(layers.Convolution, name, window, layer.groups), resolved)
            case AveragePool():
                return self._made(layers.AveragePool, name, _pool_window(layer))
            case Pool():
                return self._made(layers.MaxPool, name, _pool_window(layer))
            case Subsample():
                return self._made(layers.Subsample, name, Window(_pair(layer.size), _pair(layer.size)))
            case GlobalPool():
                return self._made(layers.GlobalPool, name)
            case Flatten():
                seed = layer.permutation
                order = None if seed is None else init.permutation(seed, resolved.output_shape[0])
                return layers.Flatten(name, order)
            case Dense():
                return self._with_weights(self._made(layers.Dense, name), resolved)
            case Dropout():
                return self._made(layers.Dropout, name, layer.share)
        raise NetworkError(f"recipe.engine: {self.xp.__name__} has no layer {name} ({layer.kind}); {CURE}")

    def _made(self, kind: type[layers.Layer], *arguments: Any) -> layers.Layer:
        return self.replacements.get(kind, kind)(*arguments)

    def _with_weights(self, layer: layers.Layer, resolved: ResolvedLayer) -> layers.Layer:
        """The layer with its initial weights, the same in every engine."""
        weight = init.weight(resolved.init, self.seed, resolved.name, resolved.weight_shape)
        layer.parameters["weight"] = self._array(weight.transpose(np.argsort(layer.torch_axes["weight"])))
        if resolved.bias:
            bias = init.bias(resolved.zero_bias, self.seed, resolved.name, resolved.weight_shape)
            layer.parameters["bias"] = self._array(bias)
        return layer

    def _norm(self, resolved: ResolvedLayer, name: str) -> list[layers.Layer]:
        channels = resolved.output_shape[0]
        if resolved.norm == "none":
            return []
        ones, zeros = np.ones(channels), np.zeros(channels)
        if resolved.norm == "batch":
            layer = self._made(layers.BatchNorm, name)
            layer.buffers = {"running_mean": self._array(zeros), "running_var": self._array(ones)}
            layer.buffers["num_batches_tracked"] = self.xp.asarray(np.array(0, np.int64))
        else:
            groups = {"layer": 1, "group": resolved.norm_groups, "instance": channels}
            layer = self._made(layers.GroupNorm, name, groups[resolved.norm])
        layer.parameters = {"weight": self._array(ones), "bias": self._array(zeros)}
        return [layer]

    def _activation(self, resolved: ResolvedLayer, name: str) -> list[layers.Layer]:
        return [] if resolved.activation == "none" else [self._made(layers.Activate, name, resolved.activation)]

    def _array(self, values: np.ndarray) -> Any:
        return self.xp.asarray(np.ascontiguousarray(values, self.dtype))


def _pools_first(sequence: list[layers.Layer]) -> list[layers.Layer]:
    """Each max pool before the monotonic activation that it follows."""
    for index in range(1, len(sequence)):
        before, layer = sequence[index - 1], sequence[index]
        is_max = isinstance(layer, layers.MaxPool)
        if is_max and isinstance(before, layers.Activate) and before.activation in MONOTONIC:
            sequence[index - 1], sequence[index] = layer, before
    return sequence


def _pair(size: int | tuple[int, ...]) -> Pair:
    rows, columns = per_axis(size, 2)
    return rows, columns


def _pool_window(layer: Pool) -> Window:
    steps = layer.strides(2)
    rows, columns = _pair(layer.padding)
    return Window(_pair(layer.kernel), (steps[0], steps[1]), pads=((rows, rows), (columns, columns)))
