"""From an optimizer's name and arguments to torch's own, checked against the signature of the installed torch."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from striate.core.config import suggest
from striate.core.errors import RecipeError
from striate.recipes import OptimizerConfig
from striate.training.muon import Muon

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
