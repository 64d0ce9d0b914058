"""Muon for a whole network: torch's own takes matrices only.

A bank of filters (K, C, R, S) is a matrix of K rows to it, as in the optimizer's description
(https://kellerjordan.github.io/posts/muon); what has one axis, biases and the scales of norms, goes to AdamW at the same
learning rate, which is torch's meaning of `adjust_lr_fn: match_rms_adamw`, the default here.

From an optimizer's name and arguments to torch's own, checked against the signature of the installed torch.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from striate.core.config import suggest
from striate.core.errors import RecipeError
from striate.recipes import OptimizerConfig


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


# Their step needs what this loop does not give: a closure, sparse gradients.
NOT_HERE = {"LBFGS", "SparseAdam"}

# Those with a fused kernel on every device that torch trains on; others find out only at the first step.
FUSED = {"Adam", "AdamW", "SGD"}


def known() -> dict[str, type[torch.optim.Optimizer]]:
    """Every optimizer of torch that the loop can use, by torch's own name."""
    return {
        name: found
        for name, found in vars(torch.optim).items()
        if inspect.isclass(found)
        and issubclass(found, torch.optim.Optimizer)
        and found is not torch.optim.Optimizer
        and name not in NOT_HERE
    }


def check(config: OptimizerConfig) -> None:
    """Raise what `build` would, before anything is trained.

    Raises:
        RecipeError: for a name or an argument that torch does not have, or a value that it refuses.
    """
    tried = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(1))]
    optimizer = build(config, tried)
    for parameter in tried:
        parameter.grad = torch.ones_like(parameter)
    try:
        optimizer.step()  # some arguments are looked at only here
    except Exception as error:
        raise _refusal(config, error) from error


def build(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer, fused where torch can."""
    optimizers = known()
    if config.name not in optimizers:
        raise RecipeError(
            f"recipe.optimizer.name: torch has no optimizer '{config.name}' for this; {suggest(config.name, optimizers)}"
        )
    kind = optimizers[config.name]
    allowed = [name for name in inspect.signature(kind).parameters if name not in {"params", "differentiable"}]
    for name in config.arguments:
        if name not in allowed:
            raise RecipeError(
                f"recipe.optimizer.{name}: torch's {config.name} has no such argument; {suggest(name, allowed)}"
            )
    if config.decays == "weights" and "weight_decay" not in allowed:
        raise RecipeError(f"recipe.optimizer.decays: torch's {config.name} has no weight decay; leave it out")
    arguments = {name: tuple(value) if isinstance(value, list) else value for name, value in config.arguments.items()}
    try:
        if config.name == "Muon":
            return Muon(list(parameters), arguments, config.decays)
        return _fastest(kind, groups(parameters, config.decays), arguments, allowed)
    except Exception as error:
        raise _refusal(config, error) from error


def _refusal(config: OptimizerConfig, error: Exception) -> RecipeError:
    """Torch looks at some arguments with care, and falls over others (KeyError, AssertionError)."""
    is_said = isinstance(error, TypeError | ValueError | RuntimeError) and str(error)
    why = error if is_said else repr(error)
    return RecipeError(f"recipe.optimizer: torch's {config.name} refuses {config.arguments}: {why}")


def groups(parameters: Iterable[nn.Parameter], decays: str) -> list[dict[str, Any]]:
    """Parameter groups: one, or with `weights` two, the second without weight decay (biases, scales and shifts of norms)."""
    given = list(parameters)
    if decays == "all":
        return [{"params": given}]
    matrices = [parameter for parameter in given if parameter.dim() > 1]
    vectors = [parameter for parameter in given if parameter.dim() <= 1]
    two: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in two if group["params"]]


def _fastest(
    kind: Any, parameters: list[dict[str, Any]], arguments: dict[str, Any], allowed: list[str]
) -> torch.optim.Optimizer:
    """One fused pass over all weights where torch has it."""
    chooses = {"fused", "foreach"} & arguments.keys()
    if kind.__name__ in FUSED and "fused" in allowed and not chooses:
        return kind(parameters, **arguments, fused=True)
    return kind(parameters, **arguments)
