"""The torch modules of a network of the notation that torch does not have."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor, nn

from striate.nets.init import permutation

# Monotonic activations: f(max(x)) == max(f(x)), so a 2x2 pool may come first, with a fourth of the work for f.
# Gelu and silu are not monotonic.
MONOTONIC = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.Sigmoid, nn.Tanh)
_is_fast = ContextVar("is_fast", default=True)


@contextmanager
def written_order() -> Iterator[None]:
    """Inside, layers run in the order in which they are written: who looks at an activation wants it before the pool."""
    token = _is_fast.set(False)
    try:
        yield
    finally:
        _is_fast.reset(token)


def run(modules: Iterable[nn.Module], x: Tensor) -> Tensor:
    """`x` through `modules` in order, with two exceptions, which are faster and change no more than the rounding.

    A max pool runs before a monotonic activation in front of it. And a map in channels-last is not copied into a row for an fc
    layer with at most half as many outputs as there are images: its weights are brought into the order of the map.

    `written_order` makes no exception.
    """
    waiting: nn.Module | None = None  # an activation or a flatten that has not run yet
    is_fast = _is_fast.get()
    for module in modules:
        if isinstance(waiting, MONOTONIC) and isinstance(module, nn.MaxPool2d | nn.MaxPool3d):
            x = module(x)
            continue
        if isinstance(waiting, Flatten) and isinstance(module, nn.Linear) and _stays_a_map(x, waiting, module):
            x, waiting = _linear_of_map(x, module), None
            continue
        if waiting is not None:
            x, waiting = waiting(x), None
        if is_fast and isinstance(module, (*MONOTONIC, Flatten)):
            waiting = module
        else:
            x = module(x)
    return x if waiting is None else waiting(x)


def _stays_a_map(x: Tensor, flatten: nn.Module, fc: nn.Linear) -> bool:
    """Whether copying the weights of `fc` is less work than copying the maps `x` and their gradient, and nobody looks."""
    if torch.compiler.is_compiling() or not isinstance(x, Tensor):  # torch.fx follows the layers with a proxy
        return False
    if x.dim() != 4 or x.device.type != "cpu" or x.is_contiguous():
        return False
    hooks = [(layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks) for layer in (flatten, fc)]
    is_channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return is_channels_last and 2 * fc.out_features <= len(x) and not any(map(any, hooks))


def _linear_of_map(x: Tensor, fc: nn.Linear) -> Tensor:
    """`fc` of the flattened map, its values in the order (row, column, channel)."""
    weight = fc.weight.view(-1, *x.shape[1:]).permute(0, 2, 3, 1)
    return nn.functional.linear(x.permute(0, 2, 3, 1).flatten(1), weight.flatten(1), fc.bias)


class Chain(nn.Sequential):
    """Layers under their names, one after another."""

    def forward(self, x: Tensor) -> Tensor:
        return run(self, x)


class Flatten(nn.Flatten):
    """A map as one row of values (channel, row, column)."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            # The gradient of the row arrives in another layout than the map's, in which a relu's backward took 7 times as long.
            x.register_hook(lambda g: g.contiguous(memory_format=torch.channels_last))
        return super().forward(x)


class Scale(nn.Module):
    """Multiplies by one number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor:g}"


class Network(Chain):
    """The layers under their names: conv1, conv1_norm, conv1_activation, pool1, ..., fc3."""

    def __init__(self, modules: Mapping[str, nn.Module], *, dims: int = 2) -> None:
        super().__init__()
        self.dims = dims
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) for images (N, channels, height, width)."""
        # The image as a volume, its colors as the third axis.
        return super().forward(x if self.dims == 2 else x.permute(0, 2, 3, 1).unsqueeze(1))


class ResidualBlock(nn.Module):
    """The body's layers under their names, beside them `shortcut` and, after the sum, `activation`."""

    def __init__(self, body: Mapping[str, nn.Module], shortcut: Chain, activation: nn.Module | None) -> None:
        super().__init__()
        for name, module in body.items():
            self.add_module(name, module)
        self._body = tuple(body)
        self.shortcut = shortcut
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(run((getattr(self, name) for name in self._body), x) + self.shortcut(x))


class Subsample(nn.Module):
    """The first pixel of each whole block."""

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        whole = (slice(0, side // step * step, step) for side, step in zip(x.shape[2:], self.size, strict=True))
        return x[(slice(None), slice(None), *whole)]

    def extra_repr(self) -> str:
        return f"size={self.size}"


class GlobalPool(nn.Module):
    """The mean of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(tuple(range(2, x.dim())))


class Permute(nn.Module):
    """A map as a row of values in the fixed random order `number`."""

    order: Tensor

    def __init__(self, number: int, size: int) -> None:
        super().__init__()
        # Not saved with the weights: the configuration decides it.
        self.register_buffer("order", torch.from_numpy(permutation(number, size).astype(np.int64)), persistent=False)
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, self.order]

    def extra_repr(self) -> str:
        return f"number={self.number}"
