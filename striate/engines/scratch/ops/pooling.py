"""Pooling: one value for each block of a map (its maximum, its mean, or its first value), or one for the whole map."""

from striate.engines.scratch.library import Array, namespace
from striate.engines.scratch.ops.windows import Pair, Window, crop, pad


def max_pool(x_NHWC: Array, window: Window) -> Array:
    """The largest value of each block."""
    xp = namespace(x_NHWC)
    P, Q = window.outputs(x_NHWC.shape[1:3])
    padded = pad(x_NHWC, window, -float("inf"))
    y_NPQC = None
    for r, s in window.pixels():
        rows, columns = window.slices_at(r, s, (P, Q))
        values = padded[:, rows, columns, :]
        y_NPQC = values if y_NPQC is None else xp.maximum(y_NPQC, values)
    return y_NPQC


def max_pool_backward(g_NPQC: Array, x_NHWC: Array, y_NPQC: Array, window: Window) -> Array:
    """The largest value of a block gets the whole gradient of that block, the others get 0.

    The result depends on the largest value alone. Of equal values the first one, row by row, counts as the largest.
    """
    xp = namespace(g_NPQC)
    N, H, W, C = x_NHWC.shape
    padded = pad(x_NHWC, window, -float("inf"))
    gx = xp.zeros((N, *window.padded((H, W)), C), dtype=g_NPQC.dtype)
    remaining, zeros = g_NPQC, xp.zeros_like(g_NPQC)
    for r, s in window.pixels():
        rows, columns = window.slices_at(r, s, y_NPQC.shape[1:3])
        is_largest = padded[:, rows, columns, :] == y_NPQC
        gx[:, rows, columns, :] += xp.where(is_largest, remaining, zeros)
        remaining = xp.where(is_largest, zeros, remaining)  # each gradient is passed on once
    return crop(gx, window, (H, W))


def average_pool(x_NHWC: Array, window: Window) -> Array:
    """The mean of each block; padding counts as zeros."""
    P, Q = window.outputs(x_NHWC.shape[1:3])
    padded = pad(x_NHWC, window)
    total = 0.0
    for r, s in window.pixels():
        rows, columns = window.slices_at(r, s, (P, Q))
        total = padded[:, rows, columns, :] + total
    return total / (window.kernel[0] * window.kernel[1])


def average_pool_backward(g_NPQC: Array, sides: Pair, window: Window) -> Array:
    """Each of the R x S values of a block counts 1 / (R S) in the mean."""
    xp = namespace(g_NPQC)
    N, P, Q, C = g_NPQC.shape
    share = g_NPQC / (window.kernel[0] * window.kernel[1])
    gx = xp.zeros((N, *window.padded(sides), C), dtype=g_NPQC.dtype)
    for r, s in window.pixels():
        rows, columns = window.slices_at(r, s, (P, Q))
        gx[:, rows, columns, :] += share
    return crop(gx, window, sides)


def pick(x_NHWC: Array, window: Window) -> Array:
    """The first value of each block."""
    rows, columns = window.slices_at(0, 0, window.outputs(x_NHWC.shape[1:3]))
    return x_NHWC[:, rows, columns, :]


def pick_backward(g_NPQC: Array, sides: Pair, window: Window) -> Array:
    """The first value of each block gets the gradient, the others get 0."""
    xp = namespace(g_NPQC)
    N, P, Q, C = g_NPQC.shape
    gx = xp.zeros((N, *sides, C), dtype=g_NPQC.dtype)
    rows, columns = window.slices_at(0, 0, (P, Q))
    gx[:, rows, columns, :] = g_NPQC
    return gx


def global_pool(x_NHWC: Array) -> Array:
    """The mean of each channel over the map."""
    return namespace(x_NHWC).mean(x_NHWC, axis=(1, 2))


def global_pool_backward(g_NC: Array, sides: Pair) -> Array:
    """Each of the H W pixels counts 1 / (H W) in the mean."""
    xp = namespace(g_NC)
    N, C = g_NC.shape
    H, W = sides
    return xp.broadcast_to(xp.reshape(g_NC / (H * W), (N, 1, 1, C)), (N, H, W, C))
