"""The gradient check: is a gradient from a formula the derivative?

For f with inputs x of any shape, a random direction v and random weights g of the result, the derivative of sum(g f) along v is

    numerically   sum(g (f(x + eps v) - f(x - eps v))) / (2 eps)
    by formula    sum(gx v), where gx is the gradient that the backward of f returns for g

Both are one number, whatever the shapes. An error in any entry of gx changes it, because v is random in every entry.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from striate.core.errors import StriateError
from striate.engines.scratch.library import Array, namespace, to_numpy

# A central difference has an error of about eps^2, rounding one of about 1e-16 / eps: their sum is smallest near here.
EPSILON = 1e-5
TOLERANCE = 1e-6


class GradientError(StriateError):
    """A gradient that is not the derivative."""


class Derivatives(NamedTuple):
    """The derivative along a random direction of one input, computed in both ways."""

    formula: float
    numeric: float

    @property
    def difference(self) -> float:
        """The relative difference; for derivatives below 1 the absolute one."""
        return abs(self.formula - self.numeric) / max(1.0, abs(self.formula), abs(self.numeric))


Forward = Callable[..., Array]
Backward = Callable[..., Sequence[Any]]


def compare(
    forward: Forward, backward: Backward, inputs: Sequence[Array], generator: np.random.Generator
) -> list[Derivatives]:
    """The derivatives for each of `inputs` (float64). `backward(g, *inputs)` returns a gradient for each."""
    xp = namespace(inputs[0])
    y = to_numpy(forward(*inputs))
    g = generator.standard_normal(y.shape)
    gradients = backward(xp.asarray(g), *inputs)
    derivatives = []
    for index, gradient in enumerate(gradients):
        v = generator.standard_normal(tuple(inputs[index].shape))
        ahead, behind = (
            to_numpy(forward(*(x + side * EPSILON * xp.asarray(v) if i == index else x for i, x in enumerate(inputs))))
            for side in (1, -1)
        )
        numeric = float(np.sum(g * (ahead - behind))) / (2 * EPSILON)
        derivatives.append(Derivatives(float(np.sum(to_numpy(gradient) * v)), numeric))
    return derivatives


def check(
    name: str, forward: Forward, backward: Backward, inputs: Sequence[Array], generator: np.random.Generator
) -> None:
    """Check the gradient of every input.

    Raises:
        GradientError: for the first gradient that is not the derivative; it names the operation, the input and both numbers.
    """
    for index, derivatives in enumerate(compare(forward, backward, inputs, generator)):
        if not derivatives.difference <= TOLERANCE:
            raise GradientError(
                f"{name}: the gradient of input {index} must be the derivative; the formula gives "
                f"{derivatives.formula:.9g}, the numerical derivative is {derivatives.numeric:.9g}"
            )
