"""From a network as data to a torch module, with initial weights that only the seed decides.

`build` is the one door, also for modules of torchvision and of the user's own. The modules are called as the layers
are; the weights are drawn as `init` says.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from striate.nets import init
from striate.nets.config import NetworkConfig
from striate.nets.layers import (
    Activate,
    Activation,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Normalize,
    Pool,
    Residual,
    Shape,
    per_axis,
)
from striate.nets.layers import Flatten as FlattenLayer
from striate.nets.layers import GlobalPool as GlobalPoolLayer
from striate.nets.layers import Subsample as SubsampleLayer
from striate.nets.pytorch import pretrained
from striate.nets.pytorch.freeze import freeze
from striate.nets.pytorch.modules import Chain, Flatten, GlobalPool, Network, Permute, ResidualBlock, Scale, Subsample
from striate.nets.resolve import resolve
from striate.nets.resolved import ResolvedLayer

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
# By the number of spatial axes; torch types its sizes as tuples of a fixed length, hence Any.
_CONV: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
_MAX: dict[int, Any] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE: dict[int, Any] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
_ZEROS: dict[int, Any] = {2: nn.ZeroPad2d, 3: nn.ZeroPad3d}
_BATCH: dict[int, Any] = {0: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE: dict[int, Any] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


def build(network: NetworkConfig, input_shape: Shape, classes: int, seed: int) -> nn.Module:
    """The module for images of (channels, height, width), with the initial weights of `seed`.

    What `freeze` names does not learn: its parameters have `requires_grad` False.

    Raises:
        NetworkError: for a network that does not fit, or a module or a file of weights that is not there.
    """
    if network.is_foreign:
        return pretrained.build(network, input_shape, classes, seed)
    placed = resolve(network, input_shape, classes)
    modules = _modules(placed)
    if network.logit_scale != 1:
        modules["logit_scale"] = Scale(network.logit_scale)
    module = Network(modules, dims=network.dims)
    initialize(module, placed, seed)
    freeze(module, network.freeze, head={f"{placed[-1].name}.weight", f"{placed[-1].name}.bias"})
    return module


def initialize(module: nn.Module, placed: tuple[ResolvedLayer, ...], seed: int) -> None:
    """Draw the weights and biases of every conv and fc layer."""
    for one in placed:
        initialize(module, one.body, seed)
        initialize(module, one.shortcut, seed)
        if one.weight_shape:
            layer: Any = module.get_submodule(one.name)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(init.weight(one.init, seed, one.name, one.weight_shape)))
                if one.bias:
                    layer.bias.copy_(torch.from_numpy(init.bias(one.zero_bias, seed, one.name, one.weight_shape)))


def _modules(placed: tuple[ResolvedLayer, ...]) -> dict[str, nn.Module]:
    """The modules of a sequence of layers, by the last part of their names."""
    made: dict[str, nn.Module] = {}
    for one in placed:
        name = one.name.rpartition(".")[2]
        padding = _padding(one)
        if padding is not None:
            made[f"{name}_padding"] = padding
        made[name] = _module(one)
        if not one.body and not isinstance(one.layer, Normalize | Activate):
            after = {f"{name}_norm": _norm(one), f"{name}_activation": _activation(one)}
            ordered = after.items() if one.norm_first else reversed(after.items())
            made |= {key: module for key, module in ordered if module is not None}
        if one.is_last and len(one.output_shape) > 1:
            made["logits"] = Flatten()
    return made


def _module(one: ResolvedLayer) -> nn.Module:
    layer, axes = one.layer, len(one.input_shape) - 1
    match layer:
        case Conv():
            pads = tuple(before if before == after else 0 for before, after in layer.pads(axes))
            sizes = [per_axis(size, axes) for size in (layer.kernel, layer.stride)]
            return _CONV[axes](
                one.input_shape[0], layer.filters, *sizes, padding=pads, dilation=per_axis(layer.dilation, axes),
                groups=layer.groups, bias=one.bias,
            )  # fmt: skip
        case AveragePool():
            return _AVERAGE[axes](per_axis(layer.kernel, axes), layer.steps(axes))
        case Pool():
            return _MAX[axes](per_axis(layer.kernel, axes), layer.steps(axes), per_axis(layer.padding, axes))
        case SubsampleLayer():
            return Subsample(per_axis(layer.size, axes))
        case GlobalPoolLayer():
            return GlobalPool()
        case FlattenLayer():
            return Flatten() if layer.permutation is None else Permute(layer.permutation, one.output_shape[0])
        case Dense():
            return nn.Linear(one.input_shape[0], layer.units, bias=one.bias)
        case Dropout():
            return nn.Dropout(layer.share)
        case Normalize():
            return _norm(one) or nn.Identity()  # taken out by `linear`
        case Activate():
            return _activation(one) or nn.Identity()
        case Residual():
            return ResidualBlock(_modules(one.body), Chain(OrderedDict(_modules(one.shortcut))), _activation(one))


def _padding(one: ResolvedLayer) -> nn.Module | None:
    """Zeros that torch's own layers do not add.

    Its convolutions pad both sides alike, and its AvgPool3d refuses a map that is smaller than the kernel before padding.
    """
    axes = len(one.input_shape) - 1
    if isinstance(one.layer, AveragePool):
        uneven = [(pad, pad) for pad in per_axis(one.layer.padding, axes)]
    elif isinstance(one.layer, Conv):
        uneven = [(before, after) if before != after else (0, 0) for before, after in one.layer.pads(axes)]
    else:
        return None
    # The last axis first, as torch wants it.
    sides = tuple(pixel for pair in reversed(uneven) for pixel in pair)
    return _ZEROS[axes](sides) if any(sides) else None


def _norm(one: ResolvedLayer) -> nn.Module | None:
    channels, axes = one.output_shape[0], len(one.output_shape) - 1
    match one.norm:
        case "batch":
            return _BATCH[axes](channels)
        case "layer":
            # One group is the norm over a whole image, with a scale and a shift for each channel.
            return nn.GroupNorm(1, channels) if axes else nn.LayerNorm(channels)
        case "group":
            return nn.GroupNorm(one.norm_groups, channels)
        case "instance":
            return _INSTANCE[axes](channels, affine=True)
    return None


def _activation(one: ResolvedLayer) -> nn.Module | None:
    return None if one.activation == "none" else ACTIVATIONS[one.activation]()
