"""From an optimizer's name and arguments to PyTorch's own, checked against the signatures of the installed torch."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from striate.core.config import suggest
from striate.core.errors import RecipeError
from striate.engines.pytorch.muon import Muon
from striate.engines.pytorch.uncompiled import uncompiled
from striate.recipes import OptimizerConfig

# Their step needs what the training loop does not provide: a closure, sparse gradients.
UNSUPPORTED_OPTIMIZERS = {"LBFGS", "SparseAdam"}
# Those with a fused kernel on every device. Others would fail in the first step.
FUSED = {"Adam", "AdamW", "SGD"}


def supported() -> dict[str, type[torch.optim.Optimizer]]:
    """Every optimizer of torch that the training loop can use, by its name in torch."""
    return {
        name: kind
        for name, kind in vars(torch.optim).items()
        if inspect.isclass(kind)
        and issubclass(kind, torch.optim.Optimizer)
        and kind is not torch.optim.Optimizer
        and name not in UNSUPPORTED_OPTIMIZERS
    }


def check(config: OptimizerConfig) -> None:
    """Build the optimizer and try a step.

    Raises:
        RecipeError: for a name or an argument that torch does not have, or a value that it refuses.
    """
    parameters = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(1))]
    optimizer = build(config, parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    try:
        optimizer.step()  # some arguments are checked only here
    except Exception as error:
        raise _refusal(config, error) from error


def build(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer, fused where torch supports it.

    Raises:
        RecipeError: for a name or an argument that torch does not have, or a value that it refuses.
    """
    optimizers = supported()
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
            return uncompiled(Muon)(list(parameters), arguments, config.decays)
        if config.name in FUSED and not {"fused", "foreach"} & arguments.keys():
            arguments["fused"] = True
        return uncompiled(kind)(parameter_groups(parameters, config.decays), **arguments)
    except Exception as error:
        raise _refusal(config, error) from error


def parameter_groups(parameters: Iterable[nn.Parameter], decays: str) -> list[dict[str, Any]]:
    """One group, or two with `decays` "weights": biases and the scales and shifts of norms then have no weight decay."""
    given = list(parameters)
    if decays == "all":
        return [{"params": given}]
    weights = [parameter for parameter in given if parameter.dim() > 1]
    vectors = [parameter for parameter in given if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _refusal(config: OptimizerConfig, error: Exception) -> RecipeError:
    """Torch checks some arguments and has a message for them; others end in a KeyError or an AssertionError."""
    has_message = isinstance(error, TypeError | ValueError | RuntimeError) and str(error)
    reason = error if has_message else repr(error)
    return RecipeError(f"recipe.optimizer: torch's {config.name} refuses {config.arguments}: {reason}")
