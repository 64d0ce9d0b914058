"""From a network as data to a torch module, with initial weights that only the seed decides.

The weights are drawn by NumPy from the stream (seed, "init", layer, parameter), so every engine and device
starts from the same numbers, and a layer of the same name and shape starts the same in every arm.
"""

import math
from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor, nn

from striate.core.seeds import stream
from striate.nets.layers import Conv, Dense, Dropout, GlobalPool, Pool
from striate.nets.shapes import Row, Shape, rows
from striate.nets.spec import NetworkConfig

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
# For these the maximum of a block can be taken first: f(max(x)) == max(f(x)), a fourth of the work.
RISING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Tanh)


class Network(nn.Sequential):
    """The layers under their names: conv1, conv1_norm, conv1_activation, pool1, ..., fc3."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) for images (N, channels, height, width)."""
        modules = list(self)
        while modules:
            module = modules.pop(0)
            if modules and isinstance(module, RISING) and isinstance(modules[0], nn.MaxPool2d):
                x = modules.pop(0)(x)
            x = module(x)
        return x


def build(network: NetworkConfig, input_shape: Shape, classes: int, seed: int) -> Network:
    """The module for images of (channels, height, width), with the initial weights of `seed`."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for row in rows(network, input_shape, classes):
        modules.update(_modules(row, network))
    module = Network(modules)
    initialize(module, seed)
    return module


def initialize(module: nn.Module, seed: int) -> None:
    """Torch's default scheme for conv and fc, uniform within 1/sqrt(fan in), drawn from named streams."""
    for name, layer in module.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        bound = 1 / math.sqrt(layer.weight[0].numel())
        for parameter in ("weight", "bias"):
            tensor = getattr(layer, parameter)
            drawn = stream(seed, "init", name, parameter).uniform(-bound, bound, tuple(tensor.shape))
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(drawn.astype(np.float32)))


def _modules(row: Row, network: NetworkConfig) -> dict[str, nn.Module]:
    """The modules of one layer, its norm and its activation."""
    layer, channels = row.layer, row.input_shape[0]
    made: dict[str, nn.Module]
    match layer:
        case Conv():
            made = {row.name: nn.Conv2d(channels, layer.filters, layer.kernel, layer.stride, layer.pad)}
        case Pool():
            return {row.name: nn.MaxPool2d(layer.kernel)}
        case GlobalPool():
            return {row.name: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())}
        case Dropout():
            return {row.name: nn.Dropout(layer.share)}
        case Dense():
            flatten = {f"{row.name}_flatten": nn.Flatten()} if len(row.input_shape) > 1 else {}
            made = {**flatten, row.name: nn.Linear(math.prod(row.input_shape), layer.units)}
    if row.is_last:
        return made if len(row.output_shape) == 1 else {**made, "logits": nn.Flatten()}
    if network.norm == "batch":
        norm = nn.BatchNorm2d if len(row.output_shape) == 3 else nn.BatchNorm1d
        made[f"{row.name}_norm"] = norm(row.output_shape[0])
    if network.activation != "none":
        made[f"{row.name}_activation"] = ACTIVATIONS[network.activation]()
    return made
