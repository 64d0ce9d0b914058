"""Optimizers with PyTorch's names, arguments and defaults: each is a record of its numbers and the rule of one step.

A rule updates a parameter `p` in place from its gradient `g`. `state` holds arrays of the parameter's shape that the rule
remembers between steps; they start at zero. Every rule works on each number independently, so any slice of a parameter
can be updated on its own.
"""

import math
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from striate.core.config import suggest
from striate.core.errors import RecipeError
from striate.core.records import Flag, Number, Record
from striate.engines.scratch.library import Array, namespace
from striate.recipes import OptimizerConfig

_NonNegative = Annotated[Number, Field(ge=0)]
_Fraction = Annotated[Number, Field(ge=0, le=1)]
_BelowOne = Annotated[Number, Field(ge=0, lt=1)]
State = dict[str, Array]


class Optimizer(Record):
    """The base class. `lr` here is the recipe's; the methods get the learning rate of the step, after the schedule."""

    lr: _NonNegative
    weight_decay: _NonNegative = 0.0
    maximize: Flag = False

    def state_names(self) -> tuple[str, ...]:
        """The arrays it remembers for each parameter."""
        return ()

    def update(self, p: Array, g: Array, state: State, lr: float, step: int) -> None:
        """Update `p` in place in step number `step`, counted from 1."""
        self.move(p, self._decayed(p, -g if self.maximize else g), state, lr, step)

    def move(self, p: Array, g: Array, state: State, lr: float, step: int) -> None:
        """The rule itself, after weight decay."""
        raise NotImplementedError

    def _decayed(self, p: Array, g: Array) -> Array:
        """Weight decay as the gradient of half the sum of squares."""
        return g + self.weight_decay * p if self.weight_decay else g


class SGD(Optimizer):
    """p -= lr g. With momentum p -= lr v, where v = momentum v + g; with nesterov p -= lr (g + momentum v)."""

    lr: _NonNegative = 0.001
    momentum: _NonNegative = 0.0
    dampening: Number = 0.0
    nesterov: Flag = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and (self.momentum <= 0 or self.dampening):
            raise ValueError("nesterov needs a momentum and no dampening")
        return self

    def state_names(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def move(self, p: Array, g: Array, state: State, lr: float, step: int) -> None:
        if self.momentum:
            v = state["momentum_buffer"]
            v *= self.momentum
            v += g if step == 1 else (1 - self.dampening) * g
            g = g + self.momentum * v if self.nesterov else v
        p -= lr * g


class Adam(Optimizer):
    """p -= lr m / (sqrt(v) + eps), where m and v are running means of g and g^2, corrected for their start at zero."""

    lr: _NonNegative = 0.001
    betas: tuple[_BelowOne, _BelowOne] = (0.9, 0.999)
    eps: _NonNegative = 1e-8
    amsgrad: Flag = False

    def state_names(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if self.amsgrad else ()))

    def move(self, p: Array, g: Array, state: State, lr: float, step: int) -> None:
        xp, (beta1, beta2) = namespace(p), self.betas
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        if self.amsgrad:
            largest = state["max_exp_avg_sq"]
            largest[...] = xp.maximum(largest, v)
            v = largest
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        p -= (lr / correction1) * m / (xp.sqrt(v) / math.sqrt(correction2) + self.eps)


class AdamW(Adam):
    """Adam with weight decay applied to the weights directly, not through the gradient."""

    weight_decay: _NonNegative = 0.01

    def update(self, p: Array, g: Array, state: State, lr: float, step: int) -> None:
        p *= 1 - lr * self.weight_decay
        self.move(p, -g if self.maximize else g, state, lr, step)


class Adadelta(Optimizer):
    """p -= lr d, where d = sqrt(mean of d^2) / sqrt(mean of g^2) g: steps as large as those before."""

    lr: _NonNegative = 1.0
    rho: _Fraction = 0.9
    eps: _NonNegative = 1e-6

    def state_names(self) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def move(self, p: Array, g: Array, state: State, lr: float, step: int) -> None:
        xp, square_avg, acc_delta = namespace(p), state["square_avg"], state["acc_delta"]
        square_avg *= self.rho
        square_avg += (1 - self.rho) * g * g
        d = xp.sqrt(acc_delta + self.eps) / xp.sqrt(square_avg + self.eps) * g
        acc_delta *= self.rho
        acc_delta += (1 - self.rho) * d * d
        p -= lr * d


class RMSprop(Optimizer):
    """p -= lr g / (sqrt(mean of g^2) + eps). `centered` subtracts the square of the mean of g; momentum works as in SGD."""

    lr: _NonNegative = 0.01
    alpha: _NonNegative = 0.99
    eps: _NonNegative = 1e-8
    momentum: _NonNegative = 0.0
    centered: Flag = False

    def state_names(self) -> tuple[str, ...]:
        optional = {"grad_avg": self.centered, "momentum_buffer": bool(self.momentum)}
        return ("square_avg", *(name for name, is_used in optional.items() if is_used))

    def move(self, p: Array, g: Array, state: State, lr: float, step: int) -> None:
        xp, square_avg = namespace(p), state["square_avg"]
        square_avg *= self.alpha
        square_avg += (1 - self.alpha) * g * g
        variance = square_avg
        if self.centered:
            grad_avg = state["grad_avg"]
            grad_avg += (1 - self.alpha) * (g - grad_avg)
            variance = square_avg - grad_avg * grad_avg
        d = g / (xp.sqrt(variance) + self.eps)
        if self.momentum:
            v = state["momentum_buffer"]
            v *= self.momentum
            v += d
            d = v
        p -= lr * d


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "SGD": SGD,
    "Adam": Adam,
    "AdamW": AdamW,
    "Adadelta": Adadelta,
    "RMSprop": RMSprop,
}


def build(config: OptimizerConfig) -> Optimizer:
    """The optimizer that a recipe names.

    Raises:
        RecipeError: for a name or an argument that this engine does not have, or a value that it refuses.
    """
    kind = OPTIMIZERS.get(config.name)
    if kind is None:
        raise RecipeError(
            f"recipe.optimizer.name: the engine from scratch has no '{config.name}'; "
            f"{suggest(config.name, OPTIMIZERS)}, or use the PyTorch engine (recipe.engine=torch)"
        )
    for name in config.arguments:
        if name not in kind.model_fields:
            raise RecipeError(
                f"recipe.optimizer.{name}: {config.name} from scratch has no such argument; {suggest(name, kind.model_fields)}"
            )
    try:
        return kind(**_tuples(config.arguments))
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(["recipe.optimizer", *(str(part) for part in fault["loc"][:1])])
        raise RecipeError(f"{field}: {config.name} refuses {config.arguments}: {fault['msg']}") from error


def _tuples(arguments: dict[str, Any]) -> dict[str, Any]:
    """Lists, which YAML gives, as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
