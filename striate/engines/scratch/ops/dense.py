"""Fully connected layers, the flattening of a map before them, and dropout."""

from striate.engines.scratch.library import Array, namespace
from striate.engines.scratch.ops.windows import Pair


def dense(x_NF: Array, w_FU: Array, b_U: Array | None) -> Array:
    """Y = X W + b, with F features in and U units."""
    y_NU = namespace(x_NF).matmul(x_NF, w_FU)
    return y_NU if b_U is None else y_NU + b_U


def dense_backward(g_NU: Array, x_NF: Array, w_FU: Array) -> tuple[Array, Array, Array]:
    """G W^T, X^T G and the sum of the rows of G: as in `convolution`, with the whole row as the only patch."""
    xp = namespace(g_NU)
    return xp.matmul(g_NU, w_FU.T), xp.matmul(x_NF.T, g_NU), xp.sum(g_NU, axis=0)


def flatten(x_NHWC: Array, order: Array | None = None) -> Array:
    """A map as a row of values: channel by channel, or these permuted by `order`."""
    xp = namespace(x_NHWC)
    values = xp.reshape(xp.permute_dims(x_NHWC, (0, 3, 1, 2)), (x_NHWC.shape[0], -1))
    return values if order is None else xp.take(values, order, axis=1)


def flatten_backward(g_NF: Array, sides: Pair, inverse_order: Array | None = None) -> Array:
    """The gradient of each value goes to the place of the value; `inverse_order` undoes the order of `flatten`."""
    xp = namespace(g_NF)
    values = g_NF if inverse_order is None else xp.take(g_NF, inverse_order, axis=1)
    return xp.permute_dims(xp.reshape(values, (g_NF.shape[0], -1, *sides)), (0, 2, 3, 1))


def dropout(x: Array, mask: Array, share: float) -> Array:
    """The values where `mask` is 1, scaled so that the mean stays; 0 where it is 0.

    It is a product with a constant, so its gradient is the same product: this function is its own backward.
    """
    return x * (mask * (1 / (1 - share)))
