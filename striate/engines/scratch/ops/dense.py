"""Fully connected layers, what brings a map before them, and dropout."""

from striate.engines.scratch.library import Array, namespace
from striate.engines.scratch.ops.windows import Pair


def dense(x_NF: Array, w_FU: Array, b_U: Array | None) -> Array:
    """Y = X W + b, with F features in and U units."""
    y_NU = namespace(x_NF).matmul(x_NF, w_FU)
    return y_NU if b_U is None else y_NU + b_U


def dense_backward(g_NU: Array, x_NF: Array, w_FU: Array) -> tuple[Array, Array, Array]:
    """G W^T, X^T G and the sum of the rows of G: as in `convolution`, whose patch is here the whole row."""
    xp = namespace(g_NU)
    return xp.matmul(g_NU, w_FU.T), xp.matmul(x_NF.T, g_NU), xp.sum(g_NU, axis=0)


def flatten(x_NHWC: Array, order: Array | None = None) -> Array:
    """A map as a row of values, channel by channel as everybody writes it, or these in the given order."""
    xp = namespace(x_NHWC)
    values = xp.reshape(xp.permute_dims(x_NHWC, (0, 3, 1, 2)), (x_NHWC.shape[0], -1))
    return values if order is None else xp.take(values, order, axis=1)


def flatten_backward(g_NF: Array, sides: Pair, back: Array | None = None) -> Array:
    """Each value's gradient goes to where the value was; `back` is the order that undoes the order."""
    xp = namespace(g_NF)
    values = g_NF if back is None else xp.take(g_NF, back, axis=1)
    return xp.permute_dims(xp.reshape(values, (g_NF.shape[0], -1, *sides)), (0, 2, 3, 1))


def dropout(x: Array, kept: Array, share: float) -> Array:
    """The kept values, larger by what the mean would lose; `kept` is 1 or 0 for each.

    It is a product with a constant, so its gradient is the same product: this function is its own backward.
    """
    return x * (kept * (1 / (1 - share)))
