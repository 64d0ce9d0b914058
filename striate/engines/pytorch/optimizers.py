"""From an optimizer's name and arguments to PyTorch's own, checked against the signatures of the installed torch."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from striate.core.config import suggest
from striate.core.errors import RecipeError
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
            return Muon(list(parameters), arguments, config.decays)
        if config.name in FUSED and not {"fused", "foreach"} & arguments.keys():
            arguments["fused"] = True
        make: Any = kind
        return make(parameter_groups(parameters, config.decays), **arguments)
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
        self._optimizers: list[torch.optim.Optimizer] = [torch.optim.Muon(self._matrices, **arguments)]
        if vectors:
            self._optimizers.append(torch.optim.AdamW(vectors, lr=arguments["lr"], weight_decay=decay, fused=True))
        self._share_groups()

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
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


def _matrix(weight: Tensor) -> Tensor:
    """(K, rest): a view of the same memory, contiguous or channels-last.

    The order of columns differs between the two, and Muon's step does not depend on it.
    """
    if weight.is_contiguous():
        return weight.view(len(weight), -1)
    return weight.permute(0, *range(2, weight.dim()), 1).reshape(len(weight), -1)
