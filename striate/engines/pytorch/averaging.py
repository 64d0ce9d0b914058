"""Weights to evaluate in place of those in training: moving averages, and batch norm statistics measured again.

Neither changes the training: inside `swapped` and `measured_norms` the module holds what is evaluated, after them exactly
what it held before.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from striate.engines.pytorch.device import Setup
from striate.recipes import ema_decay


class Average:
    """The exponential moving average of a module's weights and floating-point buffers, by `recipes.ema_decay`."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._live = [tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_floating_point()]
        self._averages = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Call after each step of the optimizer."""
        self.steps += 1
        weight = 1 - ema_decay(self.decay, self.steps)
        torch._foreach_lerp_(self._averages, [tensor.detach() for tensor in self._live], weight)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Inside, the module holds the averages."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps, "held": self._averages}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        for tensor, saved in zip(self._averages, state["held"], strict=True):
            tensor.copy_(saved)

    def _swap(self) -> None:
        for index, live in enumerate(self._live):
            live.data, self._averages[index] = self._averages[index], live.data


@contextmanager
def measured_norms(module: nn.Module, batches: Iterable[Tensor], setup: Setup) -> Iterator[None]:
    """Inside, batch norms hold the mean and variance over `batches`, each batch with equal weight (arXiv 2105.07576, 3.2)."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and _updates_statistics(part)]
    before = [({name: buffer.clone() for name, buffer in norm.named_buffers()}, norm.momentum) for norm in norms]
    was_training = module.training
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        with torch.no_grad(), setup.autocast():
            for images in batches:
                module(images)
        module.train(was_training)
        yield
    finally:
        module.train(was_training)
        for norm, (buffers, momentum) in zip(norms, before, strict=True):
            norm.momentum = momentum
            for name, buffer in norm.named_buffers():
                buffer.copy_(buffers[name])


def _updates_statistics(norm: _BatchNorm) -> bool:
    """Whether training changes its statistics: those of a frozen norm are part of its weights."""
    own = list(norm.parameters(recurse=False))
    return norm.track_running_stats and (not own or any(parameter.requires_grad for parameter in own))
