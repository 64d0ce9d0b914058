"""Optimizers by torch's names, arguments and defaults: each a record of its numbers and the rule of one step.

A rule moves a parameter `p` in place by its gradient `g`; `kept` are the arrays of the same shape that it remembers from step
to step, zeros at first. Rules act on each number alone, so any part of a parameter can be moved by itself.
"""

import math
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError, model_validator

from striate.core.config import suggest
from striate.core.errors import RecipeError
from striate.core.records import Flag, Number, Record
from striate.engines.scratch.library import Array, namespace
from striate.recipes import OptimizerConfig

_FromZero = Annotated[Number, Field(ge=0)]
_Share = Annotated[Number, Field(ge=0, le=1)]
_BelowOne = Annotated[Number, Field(ge=0, lt=1)]
Kept = dict[str, Array]


class Optimizer(Record):
    """The base; `lr` is given anew for each step, as `rate`."""

    keeps: ClassVar[tuple[str, ...]] = ()

    lr: _FromZero
    weight_decay: _FromZero = 0.0
    maximize: Flag = False

    def kept_names(self) -> tuple[str, ...]:
        """What it remembers of each parameter."""
        return self.keeps

    def update(self, p: Array, g: Array, kept: Kept, rate: float, step: int) -> None:
        """Step number `step`, from 1."""
        self.move(p, self._decayed(p, -g if self.maximize else g), kept, rate, step)

    def move(self, p: Array, g: Array, kept: Kept, rate: float, step: int) -> None:
        raise NotImplementedError

    def _decayed(self, p: Array, g: Array) -> Array:
        """Weight decay as the gradient of half the sum of squares."""
        return g + self.weight_decay * p if self.weight_decay else g


class SGD(Optimizer):
    """p -= rate g. With momentum along v = momentum v + g; nesterov looks a step ahead, g + momentum v."""

    lr: _FromZero = 0.001
    momentum: _FromZero = 0.0
    dampening: Number = 0.0
    nesterov: Flag = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and (self.momentum <= 0 or self.dampening):
            raise ValueError("nesterov needs a momentum and no dampening")
        return self

    def kept_names(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def move(self, p: Array, g: Array, kept: Kept, rate: float, step: int) -> None:
        if self.momentum:
            v = kept["momentum_buffer"]
            v *= self.momentum
            v += g if step == 1 else (1 - self.dampening) * g
            g = g + self.momentum * v if self.nesterov else v
        p -= rate * g


class Adam(Optimizer):
    """p -= rate m / (sqrt(v) + eps): m and v running means of g and g^2, divided by what they lack in the first steps."""

    lr: _FromZero = 0.001
    betas: tuple[_BelowOne, _BelowOne] = (0.9, 0.999)
    eps: _FromZero = 1e-8
    amsgrad: Flag = False
    keeps: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    def kept_names(self) -> tuple[str, ...]:
        return (*self.keeps, "max_exp_avg_sq") if self.amsgrad else self.keeps

    def move(self, p: Array, g: Array, kept: Kept, rate: float, step: int) -> None:
        xp, (one, two) = namespace(p), self.betas
        m, v = kept["exp_avg"], kept["exp_avg_sq"]
        m += (1 - one) * (g - m)
        v *= two
        v += (1 - two) * g * g
        if self.amsgrad:
            largest = kept["max_exp_avg_sq"]
            largest[...] = xp.maximum(largest, v)
            v = largest
        lacks_one, lacks_two = 1 - one**step, 1 - two**step
        p -= (rate / lacks_one) * m / (xp.sqrt(v) / math.sqrt(lacks_two) + self.eps)


class AdamW(Adam):
    """Adam whose weights shrink by themselves, apart from the gradient."""

    weight_decay: _FromZero = 0.01

    def update(self, p: Array, g: Array, kept: Kept, rate: float, step: int) -> None:
        p *= 1 - rate * self.weight_decay
        self.move(p, -g if self.maximize else g, kept, rate, step)


class Adadelta(Optimizer):
    """Steps as large as those of before: p -= rate d, d = sqrt(mean of d^2) / sqrt(mean of g^2) g."""

    lr: _FromZero = 1.0
    rho: _Share = 0.9
    eps: _FromZero = 1e-6
    keeps: ClassVar[tuple[str, ...]] = ("square_avg", "acc_delta")

    def move(self, p: Array, g: Array, kept: Kept, rate: float, step: int) -> None:
        xp, squares, moves = namespace(p), kept["square_avg"], kept["acc_delta"]
        squares *= self.rho
        squares += (1 - self.rho) * g * g
        d = xp.sqrt(moves + self.eps) / xp.sqrt(squares + self.eps) * g
        moves *= self.rho
        moves += (1 - self.rho) * d * d
        p -= rate * d


class RMSprop(Optimizer):
    """p -= rate g / (sqrt(mean of g^2) + eps); centered takes the square of the mean off; with momentum as SGD has it."""

    lr: _FromZero = 0.01
    alpha: _FromZero = 0.99
    eps: _FromZero = 1e-8
    momentum: _FromZero = 0.0
    centered: Flag = False

    def kept_names(self) -> tuple[str, ...]:
        optional = {"grad_avg": self.centered, "momentum_buffer": bool(self.momentum)}
        return ("square_avg", *(name for name, wanted in optional.items() if wanted))

    def move(self, p: Array, g: Array, kept: Kept, rate: float, step: int) -> None:
        xp, squares = namespace(p), kept["square_avg"]
        squares *= self.alpha
        squares += (1 - self.alpha) * g * g
        spread = squares
        if self.centered:
            mean = kept["grad_avg"]
            mean += (1 - self.alpha) * (g - mean)
            spread = squares - mean * mean
        d = g / (xp.sqrt(spread) + self.eps)
        if self.momentum:
            v = kept["momentum_buffer"]
            v *= self.momentum
            v += d
            d = v
        p -= rate * d


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
        RecipeError: for a name or an argument that is not here, or a value that it refuses.
    """
    kind = OPTIMIZERS.get(config.name)
    if kind is None:
        raise RecipeError(
            f"recipe.optimizer.name: the engine from scratch has no '{config.name}'; "
            f"{suggest(config.name, OPTIMIZERS)}, or use the engine torch"
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
        where = ".".join(str(part) for part in fault["loc"][:1])
        place = f"recipe.optimizer.{where}" if where else "recipe.optimizer"
        raise RecipeError(f"{place}: {config.name} refuses {config.arguments}: {fault['msg']}") from error


def _tuples(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
