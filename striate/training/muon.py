"""Muon for a whole network: torch's own takes matrices only.

A bank of filters (K, C, R, S) is a matrix of K rows to it, as in the optimizer's description
(https://kellerjordan.github.io/posts/muon); what has one axis, biases and the scales of norms, goes to AdamW at the same
learning rate, which is torch's meaning of `adjust_lr_fn: match_rms_adamw`, the default here.
"""

from typing import Any

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Two of torch's optimizers as one."""

    def __init__(self, parameters: list[nn.Parameter], arguments: dict[str, Any], decays: str) -> None:
        super().__init__(parameters, {})
        self._banks = [parameter for parameter in parameters if parameter.dim() > 1]
        self._matrices = [nn.Parameter(_matrix(parameter.detach())) for parameter in self._banks]
        vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
        given = {"adjust_lr_fn": "match_rms_adamw", **arguments}
        decay = 0.0 if decays == "weights" else given.get("weight_decay", 0.1)
        self._both: list[torch.optim.Optimizer] = [torch.optim.Muon(self._matrices, **given)]
        if vectors:
            self._both.append(torch.optim.AdamW(vectors, lr=given["lr"], weight_decay=decay, fused=True))
        self._tie()

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        for bank in self._banks:
            bank.grad = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for bank, matrix in zip(self._banks, self._matrices, strict=True):
            # Tied to the bank anew in each step: averages and loaded weights may have moved it.
            matrix.data = _matrix(bank.detach())
            matrix.grad = None if bank.grad is None else _matrix(bank.grad)
        for each in self._both:
            each.step(closure)

    def state_dict(self) -> dict[str, Any]:
        return {"both": [each.state_dict() for each in self._both]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for each, saved in zip(self._both, state_dict["both"], strict=True):
            each.load_state_dict(saved)
        self._tie()

    def _tie(self) -> None:
        """One list of the groups of both, so that whoever sets a learning rate reaches them."""
        self.param_groups = [group for each in self._both for group in each.param_groups]


def _matrix(bank: Tensor) -> Tensor:
    """(K, rest): a view of the same memory, in whichever layout the bank lies.

    Rows may be permuted within, channels last or first: Muon's step does not depend on the order of columns.
    """
    if bank.is_contiguous():
        return bank.view(len(bank), -1)
    return bank.permute(0, *range(2, bank.dim()), 1).reshape(len(bank), -1)
