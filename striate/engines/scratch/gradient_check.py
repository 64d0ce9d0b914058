"""The gradient check: does the written-out gradient say what the numbers do?

For f with inputs x of any shape, a random direction v and random weights g of the result, sum(g f) changes along v by

    numerically   sum(g (f(x + eps v) - f(x - eps v))) / (2 eps)
    by formula    sum(gx v), with gx what the backward of f gives for g

One number each, whatever the shapes; a fault in any entry of gx moves it, because v is random in every entry.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from striate.core.errors import StriateError
from striate.engines.scratch.library import Array, namespace, to_numpy

# The error of a central difference is of eps^2, that of rounding of 1e-16 / eps: the sum is least near here.
EPSILON = 1e-5
TOLERANCE = 1e-6


class GradientError(StriateError):
    """A gradient that is not the derivative."""


class Compared(NamedTuple):
    """The change of one input's direction, both ways."""

    formula: float
    numeric: float

    @property
    def difference(self) -> float:
        """Relative, to at least 1: of two changes near 0 the absolute difference counts."""
        return abs(self.formula - self.numeric) / max(1.0, abs(self.formula), abs(self.numeric))


Forward = Callable[..., Array]
Backward = Callable[..., Sequence[Any]]


def compare(
    forward: Forward, backward: Backward, inputs: Sequence[Array], generator: np.random.Generator
) -> list[Compared]:
    """Both changes for each of `inputs` (float64). `backward(g, *inputs)` gives a gradient for each."""
    xp = namespace(inputs[0])
    y = to_numpy(forward(*inputs))
    g = generator.standard_normal(y.shape)
    gradients = backward(xp.asarray(g), *inputs)
    found = []
    for index, gradient in enumerate(gradients):
        v = generator.standard_normal(tuple(inputs[index].shape))
        ahead, behind = (
            to_numpy(forward(*(x + side * EPSILON * xp.asarray(v) if i == index else x for i, x in enumerate(inputs))))
            for side in (1, -1)
        )
        numeric = float(np.sum(g * (ahead - behind))) / (2 * EPSILON)
        found.append(Compared(float(np.sum(to_numpy(gradient) * v)), numeric))
    return found


def check(
    name: str, forward: Forward, backward: Backward, inputs: Sequence[Array], generator: np.random.Generator
) -> None:
    """Raise for the first input whose gradient is not the derivative.

    Raises:
        GradientError: with the operation, the number of the input, and both changes.
    """
    for index, found in enumerate(compare(forward, backward, inputs, generator)):
        if not found.difference <= TOLERANCE:
            raise GradientError(
                f"{name}: the gradient of input {index} must be the derivative; by the formula the result changes by "
                f"{found.formula:.9g}, numerically by {found.numeric:.9g}"
            )
