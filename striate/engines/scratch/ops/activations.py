"""Activations: functions of one number, each with its derivative.

y = f(x) for each number alone, so the gradient of x is that of y times f'(x). Where f' is simpler in terms of y, it uses y.
"""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from striate.engines.scratch.library import Array, is_numpy, namespace
from striate.nets.layers import Activation


@dataclass(frozen=True)
class Function:
    """An activation: f(x), and f'(x) from x and y = f(x)."""

    value: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]


def activate(x: Array, name: Activation) -> Array:
    return FUNCTIONS[name].value(x)


def activate_backward(g: Array, x: Array, y: Array, name: Activation) -> Array:
    return g * FUNCTIONS[name].slope(x, y)


def _relu(x: Array) -> Array:
    return namespace(x).maximum(x, namespace(x).zeros_like(x))


def _relu_slope(x: Array, y: Array) -> Array:
    xp = namespace(x)
    return xp.astype(y > 0, y.dtype)


def _leaky_relu(x: Array) -> Array:
    return namespace(x).where(x > 0, x, 0.01 * x)


def _leaky_relu_slope(x: Array, y: Array) -> Array:
    xp = namespace(x)
    return 0.01 + 0.99 * xp.astype(x > 0, x.dtype)


def _elu(x: Array) -> Array:
    xp = namespace(x)
    # Where x is positive the result is not used, and exp could overflow.
    return xp.where(x > 0, x, xp.expm1(xp.where(x > 0, xp.zeros_like(x), x)))


def _elu_slope(x: Array, y: Array) -> Array:
    """d(e^x - 1) = e^x = y + 1 below 0."""
    xp = namespace(x)
    return xp.where(x > 0, xp.zeros_like(x), y) + 1


def _sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), with the exponent never above 0, so that nothing overflows."""
    xp = namespace(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, xp.zeros_like(x) + 1, small) / (1 + small)


def _silu_slope(x: Array, y: Array) -> Array:
    """(x s(x))' = s + x s (1 - s)."""
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


def _softplus(x: Array) -> Array:
    """log(1 + e^x); above 20 it is x, as in PyTorch."""
    xp = namespace(x)
    low = xp.where(x > 20, xp.zeros_like(x), x)
    return xp.where(x > 20, x, xp.log1p(xp.exp(low)))


def _softplus_slope(x: Array, y: Array) -> Array:
    xp = namespace(x)
    return xp.where(x > 20, xp.zeros_like(x) + 1, _sigmoid(x))


def _gelu(x: Array) -> Array:
    """x F(x), where F is the cumulative normal distribution."""
    return x * 0.5 * (1 + erf(x * math.sqrt(0.5)))


def _gelu_slope(x: Array, y: Array) -> Array:
    """(x F(x))' = F + x F', where F' is the density e^(-x x / 2) / sqrt(2 pi)."""
    xp = namespace(x)
    density = xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * density


def erf(x: Array) -> Array:
    """The error function, which the array API standard lacks: SciPy's, CuPy's, or else the series."""
    xp = namespace(x)
    if is_numpy(x):
        return importlib.import_module("scipy.special").erf(x)
    if xp.__name__.startswith("cupy"):
        return importlib.import_module("cupyx.scipy.special").erf(x)
    return erf_series(x)


def erf_series(x: Array) -> Array:
    """2 / sqrt(pi) e^(-x x) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...). All terms have one sign, so no digits cancel.

    From 6 on the result is 1 in float64; below, 150 terms are enough.
    """
    xp = namespace(x)
    size = xp.where(xp.abs(x) > 6, xp.zeros_like(x) + 6, xp.abs(x))
    term = total = size
    for n in range(1, 150):
        term = term * (2 * size * size / (2 * n + 1))
        total = total + term
    return xp.sign(x) * (2 / math.sqrt(math.pi)) * xp.exp(-size * size) * total


FUNCTIONS: dict[Activation, Function] = {
    "relu": Function(_relu, _relu_slope),
    "leaky_relu": Function(_leaky_relu, _leaky_relu_slope),
    "elu": Function(_elu, _elu_slope),
    "gelu": Function(_gelu, _gelu_slope),
    "silu": Function(lambda x: x * _sigmoid(x), _silu_slope),
    "softplus": Function(_softplus, _softplus_slope),
    "sigmoid": Function(_sigmoid, lambda x, y: y * (1 - y)),
    "tanh": Function(lambda x: namespace(x).tanh(x), lambda x, y: 1 - y * y),
}
