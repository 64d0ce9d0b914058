"""The layers of a network in PyTorch, each run alone forward and backward, on NumPy arrays: to compare engines with it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from striate.nets import NetworkConfig
from striate.nets.layers import Shape
from striate.nets.pytorch.build import build

Pads = tuple[tuple[int, int], tuple[int, int]]  # before and after: rows, columns


class LayerGradients(NamedTuple):
    """The output of a layer and the gradients of its input and its parameters, maps as N x C x H x W."""

    output: np.ndarray
    input: np.ndarray
    parameters: dict[str, np.ndarray]  # by their name in the layer


class TorchLayers:
    """The layers of `network` with the initial weights of seed 0, in training mode. Nothing is frozen."""

    def __init__(
        self, network: NetworkConfig, input_shape: Shape, classes: int, precision: str, blocks: Iterable[str]
    ) -> None:
        """`blocks` names the residual blocks; their activations become layers of their own, as in the other engine."""
        module = build(network.replace(freeze="none"), input_shape, classes, seed=0)
        self._module = module.to(getattr(torch, precision)).train()
        self._activations: dict[str, nn.Module] = {}
        for name in blocks:
            block = module.get_submodule(name)
            self._activations[f"{name}_activation"] = block.get_submodule("activation")
            block.activation = nn.Identity()

    def run(self, name: str, images: np.ndarray, gradient: np.ndarray, pads: Pads) -> Callable[[], LayerGradients]:
        """A function that runs a layer forward on `images` and backward from the `gradient` of its output, N x C x H x W.

        `pads` are those of the layer in the other engine. Where the module does not add them itself, they are added before it.
        """
        layer = self._activations.get(name) or self._module.get_submodule(name)
        inputs = torch.from_numpy(images).requires_grad_()
        adds_pads = any(np.atleast_1d(getattr(layer, "padding", 0)))
        (top, bottom), (left, right) = ((0, 0), (0, 0)) if adds_pads else pads

        def forward_backward() -> LayerGradients:
            inputs.grad = None
            layer.zero_grad(set_to_none=True)
            padded = functional.pad(inputs, (left, right, top, bottom)) if any((left, right, top, bottom)) else inputs
            output = layer(padded)
            output.backward(torch.from_numpy(gradient))
            parameters = {key: np.asarray(parameter.grad) for key, parameter in layer.named_parameters()}
            return LayerGradients(output.detach().numpy(), np.asarray(inputs.grad), parameters)

        return forward_backward
