"""The step of torch's fused optimizers, by the functions that their `step` calls.

Around these functions `Optimizer.step` opens a record for the profiler, looks for hooks and collects the state of every
parameter again. In a network of 60,000 parameters that took longer than the update itself, 5 % of a step on one core.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd


class FusedStep:
    """Updates the parameters as `optimizer.step()` does, bit for bit, where all of them have a gradient.

    The lists of parameters and of their state are kept from the first step, so this is made again when the optimizer's
    state is loaded. Other optimizers than SGD, Adam and AdamW, or those without a fused kernel, make their own step.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._update = next((update for kind, update in _UPDATES.items() if isinstance(optimizer, kind)), None)
        self._is_fused = self._update is not None and all(group["fused"] for group in optimizer.param_groups)
        self._kept: list[_Group] = []

    def __call__(self) -> None:
        gradients = [[parameter.grad for parameter in group.parameters] for group in self._kept]
        if not self._kept or any(gradient is None for group in gradients for gradient in group):
            self._optimizer.step()
            self._keep()
            return
        assert self._update is not None
        with torch.no_grad():
            for kept, of_group in zip(self._kept, gradients, strict=True):
                self._update(kept, of_group)

    def _keep(self) -> None:
        """Keep the lists, once every parameter has a state."""
        if not self._is_fused:
            return
        state = self._optimizer.state
        groups = self._optimizer.param_groups
        if all(parameter.grad is not None for group in groups for parameter in group["params"]):
            self._kept = [
                _Group(group, [state.get(parameter, {}) for parameter in group["params"]]) for group in groups
            ]


class _Group:
    """A group of parameters, and for each kind of state the list of it."""

    def __init__(self, options: dict[str, Any], states: list[dict[str, Tensor]]) -> None:
        self.options = options  # the optimizer's own, whose learning rate changes
        self.parameters: list[Tensor] = options["params"]
        self.states = {name: [state[name] for state in states] for name in (states[0] if states else {})}


def _adam(group: _Group, gradients: list[Any]) -> None:
    options, states = group.options, group.states
    beta1, beta2 = options["betas"]
    adam(
        group.parameters, gradients, states["exp_avg"], states["exp_avg_sq"], states.get("max_exp_avg_sq", []), states["step"],
        fused=True, capturable=options["capturable"], decoupled_weight_decay=options["decoupled_weight_decay"],
        amsgrad=options["amsgrad"], beta1=beta1, beta2=beta2, lr=options["lr"], weight_decay=options["weight_decay"],
        eps=options["eps"], maximize=options["maximize"],
    )  # fmt: skip


def _sgd(group: _Group, gradients: list[Any]) -> None:
    options = group.options
    buffers: list[Any] = list(group.states.get("momentum_buffer", []))
    sgd(
        group.parameters, gradients, buffers, fused=True,
        weight_decay=options["weight_decay"], momentum=options["momentum"], lr=options["lr"],
        dampening=options["dampening"], nesterov=options["nesterov"], maximize=options["maximize"],
    )  # fmt: skip


_UPDATES = {torch.optim.Adam: _adam, torch.optim.AdamW: _adam, torch.optim.SGD: _sgd}
