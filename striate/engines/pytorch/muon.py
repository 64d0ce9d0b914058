"""Muon for a whole network, its orthogonalization computed in float32 for all matrices of one shape at once."""

import math
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from striate.engines.pytorch.uncompiled import uncompiled


class Muon(torch.optim.Optimizer):
    """Muon for a whole network. Torch's own takes matrices only.

    A weight (K, C, R, S) of a convolution counts as a matrix of K rows, as in the description of the optimizer
    (https://kellerjordan.github.io/posts/muon). Parameters with one axis, biases and the scales of norms, are updated by
    AdamW with the same learning rate, as torch intends with `adjust_lr_fn: match_rms_adamw`, the default here.
    """

    def __init__(self, parameters: list[nn.Parameter], arguments: dict[str, Any], decays: str) -> None:
        super().__init__(parameters, {})
        self._weights = [parameter for parameter in parameters if parameter.dim() > 1]
        self._matrices = [nn.Parameter(_matrix(weight.detach())) for weight in self._weights]
        vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
        arguments = {"adjust_lr_fn": "match_rms_adamw", **arguments}
        decay = 0.0 if decays == "weights" else arguments.get("weight_decay", 0.1)
        self._optimizers: list[torch.optim.Optimizer] = [uncompiled(_BatchedMuon)(self._matrices, **arguments)]
        if vectors:
            self._optimizers.append(
                uncompiled(torch.optim.AdamW)(vectors, lr=arguments["lr"], weight_decay=decay, fused=True)
            )
        self._share_groups()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            # Set again in each step, because averages and loaded weights may have replaced the weight's memory.
            matrix.data = _matrix(weight.detach())
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        for optimizer in self._optimizers:
            optimizer.step(closure)

    def state_dict(self) -> dict[str, Any]:
        return {"both": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for optimizer, state in zip(self._optimizers, state_dict["both"], strict=True):
            optimizer.load_state_dict(state)
        self._share_groups()

    def _share_groups(self) -> None:
        """The groups of both optimizers in one list, so that setting a learning rate reaches both."""
        self.param_groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]


class _BatchedMuon(torch.optim.Muon):
    """Torch's Muon with its arguments and its state; only the step is another."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for matrices in by_shape.values():
                self._update(matrices, group)

    def _update(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        """One step of matrices of one shape."""
        momentum, lr = group["momentum"], group["lr"]
        gradients = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
        averages = []
        for matrix in matrices:
            state = self.state[matrix]
            averages.append(state.setdefault("momentum_buffer", torch.zeros_like(matrix)))
        torch._foreach_lerp_(averages, list(gradients), 1 - momentum)
        updates = torch.stack(averages)
        if group["nesterov"]:
            updates = gradients.lerp(updates, momentum)
        updates = orthogonalized(updates, group["ns_coefficients"], group["ns_steps"], group["eps"])
        size = lr * _size_factor(group["adjust_lr_fn"], *updates.shape[1:])
        for matrix, update in zip(matrices, updates, strict=True):
            matrix.mul_(1 - lr * group["weight_decay"]).sub_(update, alpha=size)


def orthogonalized(matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Matrices (n, rows, columns) with singular values close to 1: the odd polynomial of Muon, `steps` times over.

    A step is X <- (a + b S + c S S) X with S = X X'. S and the product of all these polynomials are square in the shorter side,
    and commute; so the iteration runs on them alone, and X is multiplied once at the end.
    """
    if steps >= 100:
        raise ValueError(f"ns_steps must be less than 100, got {steps}")  # torch's own limit
    a, b, c = coefficients
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=eps)
    square = x @ x.mT
    product = torch.eye(len(square[0]), dtype=x.dtype, device=x.device).expand_as(square)
    for step in range(steps):
        polynomial = torch.baddbmm(square, square, square, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        product = polynomial @ product if step else polynomial
        if step < steps - 1:
            square = polynomial @ square @ polynomial
    x = product @ x
    return x.mT if is_tall else x


def _size_factor(adjustment: str | None, rows: int, columns: int) -> float:
    """What torch's `adjust_lr_fn` multiplies the learning rate by."""
    if adjustment == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    if adjustment == "spectral_unclamped":
        return math.sqrt(rows / columns)
    return math.sqrt(max(1, rows / columns))


def _matrix(weight: Tensor) -> Tensor:
    """(K, rest): a view of the same memory, contiguous or channels-last.

    The order of columns differs between the two, and Muon's step does not depend on it.
    """
    if weight.is_contiguous():
        return weight.view(len(weight), -1)
    return weight.permute(0, *range(2, weight.dim()), 1).reshape(len(weight), -1)
