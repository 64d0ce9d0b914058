"""From a network as data to layers that compute, with torch's names and the same initial weights as every engine."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from striate.core.errors import NetworkError
from striate.engines.scratch import layers as made
from striate.engines.scratch.ops.windows import Pair, Window
from striate.nets import init
from striate.nets.config import NetworkConfig
from striate.nets.freezing import frozen_names
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

# For these the maximum of a block can be taken first: f(max(x)) is max(f(x)), with a fourth of the work for f.
RISING: frozenset[Activation] = frozenset({"relu", "leaky_relu", "elu", "softplus", "sigmoid", "tanh"})
Kinds = Mapping[type[made.Layer], type[made.Layer]]


def check(network: NetworkConfig, engine: str) -> None:
    """Refuse what only torch has, before anything is trained.

    Raises:
        NetworkError: naming the layer and the engine that has it.
    """
    if network.is_foreign:
        raise NetworkError(
            f"recipe.engine: {engine} has no {network.title}, which is a torch module; the engine torch has"
        )
    if network.dims != 2:
        first = next((one.kind for one in network.parsed), "conv")
        raise NetworkError(f"recipe.engine: {engine} has no 3D {first} (network.dims: 3); the engine torch has")


def build(
    network: NetworkConfig,
    input_shape: Shape,
    classes: int,
    seed: int,
    xp: Any = np,
    dtype: str = "float32",
    faster: Kinds | None = None,
) -> made.Chain:
    """The layers for images of (height, width, channels), with the initial weights of `seed`.

    `faster` names the layers that stand in for others.

    Raises:
        NetworkError: for a network that does not fit, or that only torch has.
    """  # fmt: skip
    check(network, xp.__name__)
    placed = resolve(network, input_shape, classes)
    layers = _Builder(seed, xp, dtype, faster or {}).sequence(placed)
    if network.logit_scale != 1:
        layers.append(made.Scale("logit_scale", network.logit_scale))
    chain = made.Chain("", layers)
    names = [f"{layer.name}.{key}" for layer in chain.all() for key in layer.parameters]
    known = [layer.name for layer in chain.all() if layer.parameters]
    head = {f"{placed[-1].name}.weight", f"{placed[-1].name}.bias"}
    frozen = frozen_names(network.freeze, names, known, head)
    for layer in chain.all():
        layer.is_frozen = any(f"{layer.name}.{key}" in frozen for key in layer.parameters)
    _stop_early(chain)
    return chain


def _stop_early(chain: made.Chain) -> None:
    """Nothing before the first layer that learns wants a gradient."""
    for layer in chain.layers:
        if any(inner.parameters and not inner.is_frozen for inner in layer.all()):
            layer.needs_input_grad = False
            return


class _Builder:
    """What a sequence of layers is made with."""

    def __init__(self, seed: int, xp: Any, dtype: str, faster: Kinds) -> None:
        self.seed, self.xp, self.dtype, self.faster = seed, xp, dtype, faster

    def sequence(self, placed: tuple[ResolvedLayer, ...]) -> list[made.Layer]:
        found: list[made.Layer] = []
        for one in placed:
            found += self._layers(one)
            if one.is_last and len(one.output_shape) > 1:
                found.append(made.Flatten("logits", None))
        return _pools_first(found)

    def _layers(self, one: ResolvedLayer) -> list[made.Layer]:
        """The layer and what follows it: norm and activation, in their order."""
        if isinstance(one.layer, Normalize):
            return self._norm(one, one.name)
        if isinstance(one.layer, Activate):
            return self._activation(one, one.name)
        after = [self._norm(one, f"{one.name}_norm"), self._activation(one, f"{one.name}_activation")]
        if isinstance(one.layer, Residual):
            return [self._residual(one), *after[1]]
        ordered = after if one.norm_first else after[::-1]
        return [self._layer(one), *ordered[0], *ordered[1]]

    def _residual(self, one: ResolvedLayer) -> made.Layer:
        body, shortcut = (made.Chain(one.name, self.sequence(part)) for part in (one.body, one.shortcut))
        return made.Residual(one.name, body, shortcut)

    def _layer(self, one: ResolvedLayer) -> made.Layer:
        layer, name = one.layer, one.name
        match layer:
            case Conv():
                kernel, stride, wide = (_pair(size) for size in (layer.kernel, layer.stride, layer.dilation))
                top, left = layer.pads(2)
                found = self._made(made.Convolution, name, Window(kernel, stride, wide, (top, left)), layer.groups)
                return self._weighted(found, one)
            case AveragePool():
                return self._made(made.AveragePool, name, _pool_window(layer))
            case Pool():
                return self._made(made.MaxPool, name, _pool_window(layer))
            case Subsample():
                return self._made(made.Subsample, name, Window(_pair(layer.size), _pair(layer.size)))
            case GlobalPool():
                return self._made(made.GlobalPool, name)
            case Flatten():
                number = layer.permutation
                return made.Flatten(name, None if number is None else init.permutation(number, one.output_shape[0]))
            case Dense():
                return self._weighted(self._made(made.Dense, name), one)
            case Dropout():
                return self._made(made.Dropout, name, layer.share)
        raise NetworkError(
            f"recipe.engine: {self.xp.__name__} has no layer {name} ({layer.kind}); the engine torch has"
        )

    def _made(self, kind: type[made.Layer], *arguments: Any) -> made.Layer:
        return self.faster.get(kind, kind)(*arguments)

    def _weighted(self, layer: made.Layer, one: ResolvedLayer) -> made.Layer:
        """With its initial weights, those that every engine starts from."""
        weight = init.weight(one.init, self.seed, one.name, one.weight_shape)
        layer.parameters["weight"] = self._array(weight.transpose(np.argsort(layer.torch_axes["weight"])))
        if one.bias:
            layer.parameters["bias"] = self._array(init.bias(one.zero_bias, self.seed, one.name, one.weight_shape))
        return layer

    def _norm(self, one: ResolvedLayer, name: str) -> list[made.Layer]:
        channels = one.output_shape[0]
        groups = {"layer": 1, "group": one.norm_groups, "instance": channels}
        if one.norm == "none":
            return []
        is_batch = one.norm == "batch"
        layer = self._made(made.BatchNorm, name) if is_batch else self._made(made.GroupNorm, name, groups[one.norm])
        ones, zeros = np.ones(channels), np.zeros(channels)
        layer.parameters = {"weight": self._array(ones), "bias": self._array(zeros)}
        if is_batch:
            layer.buffers = {"running_mean": self._array(zeros), "running_var": self._array(ones)}
            layer.buffers["num_batches_tracked"] = self.xp.asarray(np.array(0, np.int64))
        return [layer]

    def _activation(self, one: ResolvedLayer, name: str) -> list[made.Layer]:
        return [] if one.activation == "none" else [self._made(made.Activate, name, one.activation)]

    def _array(self, values: np.ndarray) -> Any:
        return self.xp.asarray(np.ascontiguousarray(values, self.dtype))


def _pools_first(layers: list[made.Layer]) -> list[made.Layer]:
    """Max pools before a rising activation that stands in front of them."""
    for index in range(1, len(layers)):
        before, layer = layers[index - 1], layers[index]
        is_max = isinstance(layer, made.MaxPool)
        if is_max and isinstance(before, made.Activate) and before.activation in RISING:
            layers[index - 1], layers[index] = layer, before
    return layers


def _pair(size: int | tuple[int, ...]) -> Pair:
    rows, columns = per_axis(size, 2)
    return rows, columns


def _pool_window(layer: Pool) -> Window:
    steps = layer.steps(2)
    rows, columns = _pair(layer.padding)
    return Window(_pair(layer.kernel), (steps[0], steps[1]), pads=((rows, rows), (columns, columns)))
