"""From a network as data to a torch module, with initial weights that only the seed decides.

`build` is the entry point for modules of torchvision and of the user's own too. Modules have the names of the layers;
`init` draws the weights.
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from striate.core.errors import NetworkError
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
from striate.nets.pytorch import pretrained, weights
from striate.nets.pytorch.freeze import freeze
from striate.nets.pytorch.modules import Chain, Flatten, GlobalPool, Network, Permute, ResidualBlock, Scale, Subsample
from striate.nets.resolve import resolve
from striate.nets.resolved import ResolvedLayer, all_layers
from striate.nets.user_code import differences

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

    The parameters that `freeze` names have `requires_grad` False.

    Raises:
        NetworkError: for a network that does not fit, or a module or a file of weights that does not exist.
    """
    if network.is_foreign:
        return pretrained.build(network, input_shape, classes, seed)
    layers = resolve(network, input_shape, classes)
    modules = _modules(layers)
    if network.logit_scale != 1:
        modules["logit_scale"] = Scale(network.logit_scale)
    module = Network(modules, dims=network.dims)
    initialize(module, layers, seed)
    freeze(module, network.freeze, head={f"{layers[-1].name}.weight", f"{layers[-1].name}.bias"})
    return module


def build_trained(
    network: NetworkConfig, input_shape: Shape, classes: int, seed: int, file: Path, code: Mapping[str, str]
) -> nn.Module:
    """The module with the weights of a file that has all of them: those that training started from are not read.

    `code` is what a module of the user's own had in training (`NetworkConfig.code`); empty where that was not kept.

    Raises:
        NetworkError: as `build`; and for a file that has other weights than the network, or a module that has other code.
    """
    if code and (changed := differences(code, network.code())):
        raise NetworkError(
            f"{file}: was trained with other code than {', '.join(changed)} has now; bring back the code that it was trained with"
        )
    module = build(network.replace(pretrained=False), input_shape, classes, seed)
    weights.load(module, file)
    return module


@torch.no_grad()
def initialize(module: nn.Module, layers: tuple[ResolvedLayer, ...], seed: int) -> None:
    """Draw the weights and biases of every conv and fc layer."""
    for layer in all_layers(layers):
        if shape := layer.weight_shape:
            part = module.get_submodule(layer.name)
            part.get_parameter("weight").copy_(torch.from_numpy(init.weight(layer.init, seed, layer.name, shape)))
            if layer.bias:
                part.get_parameter("bias").copy_(torch.from_numpy(init.bias(layer.zero_bias, seed, layer.name, shape)))


def _modules(layers: tuple[ResolvedLayer, ...]) -> dict[str, nn.Module]:
    """The modules of a sequence of layers, by the last part of their names."""
    modules: dict[str, nn.Module] = {}
    for layer in layers:
        name = layer.name.rpartition(".")[2]
        padding = _padding(layer)
        if padding is not None:
            modules[f"{name}_padding"] = padding
        modules[name] = _module(layer)
        if not layer.body and not isinstance(layer.layer, Normalize | Activate):
            after = {f"{name}_norm": _norm(layer), f"{name}_activation": _activation(layer)}
            ordered = after.items() if layer.norm_first else reversed(after.items())
            modules |= {key: module for key, module in ordered if module is not None}
        if layer.is_last and len(layer.output_shape) > 1:
            modules["logits"] = Flatten()
    return modules


def _module(resolved: ResolvedLayer) -> nn.Module:
    """The layer itself, without what is around it."""
    layer, axes = resolved.layer, len(resolved.input_shape) - 1
    match layer:
        case Conv():
            pads = tuple(before if before == after else 0 for before, after in layer.pads(axes))
            sizes = [per_axis(size, axes) for size in (layer.kernel, layer.stride)]
            return _CONV[axes](
                resolved.input_shape[0], layer.filters, *sizes, padding=pads, dilation=per_axis(layer.dilation, axes),
                groups=layer.groups, bias=resolved.bias,
            )  # fmt: skip
        case AveragePool():
            return _AVERAGE[axes](per_axis(layer.kernel, axes), layer.strides(axes))
        case Pool():
            return _MAX[axes](per_axis(layer.kernel, axes), layer.strides(axes), per_axis(layer.padding, axes))
        case SubsampleLayer():
            return Subsample(per_axis(layer.size, axes))
        case GlobalPoolLayer():
            return GlobalPool()
        case FlattenLayer():
            return Flatten() if layer.permutation is None else Permute(layer.permutation, resolved.output_shape[0])
        case Dense():
            return nn.Linear(resolved.input_shape[0], layer.units, bias=resolved.bias)
        case Dropout():
            return nn.Dropout(layer.share)
        case Normalize():
            return _norm(resolved) or nn.Identity()  # removed by `linear`
        case Activate():
            return _activation(resolved) or nn.Identity()
        case Residual():
            return ResidualBlock(
                _modules(resolved.body), Chain(OrderedDict(_modules(resolved.shortcut))), _activation(resolved)
            )


def _padding(layer: ResolvedLayer) -> nn.Module | None:
    """Zeros that torch's own layers do not add.

    Its convolutions pad both sides alike, and its AvgPool3d refuses a map that is smaller than the kernel before padding.
    """
    axes = len(layer.input_shape) - 1
    if isinstance(layer.layer, AveragePool):
        uneven = [(pad, pad) for pad in per_axis(layer.layer.padding, axes)]
    elif isinstance(layer.layer, Conv):
        uneven = [(before, after) if before != after else (0, 0) for before, after in layer.layer.pads(axes)]
    else:
        return None
    # Torch takes the last axis first.
    sides = tuple(pixel for pair in reversed(uneven) for pixel in pair)
    return _ZEROS[axes](sides) if any(sides) else None


def _norm(layer: ResolvedLayer) -> nn.Module | None:
    channels, axes = layer.output_shape[0], len(layer.output_shape) - 1
    match layer.norm:
        case "batch":
            return _BATCH[axes](channels)
        case "layer":
            # One group is the norm over a whole image, with a scale and a shift for each channel.
            return nn.GroupNorm(1, channels) if axes else nn.LayerNorm(channels)
        case "group":
            return nn.GroupNorm(layer.norm_groups, channels)
        case "instance":
            return _INSTANCE[axes](channels, affine=True)
    return None


def _activation(layer: ResolvedLayer) -> nn.Module | None:
    return None if layer.activation == "none" else ACTIVATIONS[layer.activation]()
