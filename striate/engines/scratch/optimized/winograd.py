"""A 3x3 convolution with 16 products in place of 36 (Winograd 1980; Lavin and Gray, arXiv:1509.09308).

Along one axis, two neighboring results of a filter w0 w1 w2 over pixels d0 d1 d2 d3 are

    y0 = d0 w0 + d1 w1 + d2 w2 = m0 + m1 + m2        m0 = (d0 - d2) w0                m3 = (d1 - d3) w2
    y1 = d1 w0 + d2 w1 + d3 w2 = m1 - m2 - m3        m1 = (d1 + d2) (w0 + w1 + w2) / 2
                                                     m2 = (d2 - d1) (w0 - w1 + w2) / 2

four products in place of six. With D, F, E for the three linear maps (d to its factor in the products, w to its factor, m to y),
a 2x2 tile of the result along both axes is E (F w F^T * D d D^T) E^T, and summed over channels each of the 16 products
is one of 16 matrix products, over all tiles. Every step is linear, so the gradients use the same maps transposed:

    gm = E^T gy E        gw = F^T (v^T gm) F        gx = D^T (gm u^T) D        with v = D d D^T and u = F w F^T

and take 2.25 times fewer products too. Axes here: I J the 4x4 entries of a tile, T U the tiles along rows and columns.
"""

from typing import NamedTuple

import numpy as np

from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window


class Tiling(NamedTuple):
    """How a map is divided: results (P, Q), tiles (T, U), and the offset of the map in its padded tiles."""

    P: int
    Q: int
    T: int
    U: int
    top: int
    left: int


def tiling(x_NHWC: np.ndarray, window: Window) -> Tiling:
    P, Q = window.outputs(x_NHWC.shape[1:3])
    return Tiling(P, Q, (P + 1) // 2, (Q + 1) // 2, window.pads[0][0], window.pads[1][0])


def fits(window: Window, C: int, K: int, groups: int) -> bool:
    """Whether tiles are faster: with fewer than 16 channels, transforming them costs more than the saved products."""
    plain = window.kernel == (3, 3) and window.stride == window.dilation == (1, 1)
    return plain and groups == 1 and min(C, K) >= 16


def filters(w_RSCK: np.ndarray, out: np.ndarray) -> None:
    """u = F w F^T into `out` (4, 4, C, K)."""
    rows = np.empty((4, *w_RSCK.shape[1:]), w_RSCK.dtype)
    _three_to_four(w_RSCK, rows)
    _three_to_four(rows.swapaxes(0, 1), out.swapaxes(0, 1))


def filters_backward(gu_IJCK: np.ndarray) -> np.ndarray:
    """gw = F^T gu F."""
    rows = _four_to_three(gu_IJCK)
    return _four_to_three(rows.swapaxes(0, 1)).swapaxes(0, 1)


def _three_to_four(w: np.ndarray, out: np.ndarray) -> None:
    out[0], out[3] = w[0], w[2]
    np.add(w[0], w[2], out=out[1])
    np.subtract(out[1], w[1], out=out[2])
    out[1] += w[1]
    out[1:3] *= 0.5


def _four_to_three(u: np.ndarray) -> np.ndarray:
    half_sum, half_difference = 0.5 * (u[1] + u[2]), 0.5 * (u[1] - u[2])
    return np.stack([u[0] + half_sum, half_difference, half_sum + u[3]])


def tiles(x_NHWC: np.ndarray, grid: Tiling, context: ForwardContext) -> np.ndarray:
    """v = D d D^T as (4, 4, N, T, U, C)."""
    N, _H, _W, C = x_NHWC.shape
    T, U = grid.T, grid.U
    padded = context.buffer(("padded",), (N, 2 * T + 2, 2 * U + 2, C), x_NHWC.dtype)
    _surround(padded, x_NHWC, grid)
    rows = context.buffer(("rows",), (4, N, T, 2 * U + 2, C), x_NHWC.dtype)
    _differences([padded[:, i : i + 2 * T - 1 : 2] for i in range(4)], list(rows))
    v = context.buffer(("v",), (4, 4, N, T, U, C), x_NHWC.dtype)
    _differences([rows[:, :, :, j : j + 2 * U - 1 : 2] for j in range(4)], [v[:, j] for j in range(4)])
    return v


def _surround(padded: np.ndarray, x_NHWC: np.ndarray, grid: Tiling) -> None:
    """Copy the map into its padded tiles and set the frame to zero."""
    _, H, W, _ = x_NHWC.shape
    bottom, right = min(grid.top + H, padded.shape[1]), min(grid.left + W, padded.shape[2])
    padded[:, : grid.top] = 0
    padded[:, bottom:] = 0
    padded[:, grid.top : bottom, : grid.left] = 0
    padded[:, grid.top : bottom, right:] = 0
    padded[:, grid.top : bottom, grid.left : right] = x_NHWC[:, : bottom - grid.top, : right - grid.left]


def _differences(d: list[np.ndarray], out: list[np.ndarray]) -> None:
    """D along one axis."""
    np.subtract(d[0], d[2], out=out[0])
    np.add(d[1], d[2], out=out[1])
    np.subtract(d[2], d[1], out=out[2])
    np.subtract(d[1], d[3], out=out[3])


def results(m_IJNTUK: np.ndarray, grid: Tiling, y_NPQK: np.ndarray) -> None:
    """y = E m E^T into `y_NPQK`. Overwrites m."""
    m = m_IJNTUK
    # Along the rows in place: m[0] becomes m0 + m1 + m2, m[1] becomes m1 - m2 - m3.
    m[0] += m[1]
    m[0] += m[2]
    m[1] -= m[2]
    m[1] -= m[3]
    for row in (0, 1):
        z = m[row]
        T = (grid.P + 1 - row) // 2
        z[0] += z[1]
        z[1] -= z[2]
        U = grid.Q // 2
        np.add(z[0][:, :T], z[2][:, :T], out=y_NPQK[:, row::2, 0::2])
        np.subtract(z[1][:, :T, :U], z[3][:, :T, :U], out=y_NPQK[:, row::2, 1::2])


def results_backward(g_NPQK: np.ndarray, grid: Tiling, context: ForwardContext) -> np.ndarray:
    """gm = E^T gy E as (4, 4, N, T, U, K)."""
    N, P, Q, K = g_NPQK.shape
    g = g_NPQK
    if P % 2 or Q % 2:  # the last tiles extend beyond the result, where the gradient is zero
        g = context.buffer(("even",), (N, 2 * grid.T, 2 * grid.U, K), g.dtype)
        g[:, P:], g[:, :, Q:] = 0, 0
        g[:, :P, :Q] = g_NPQK
    rows = context.buffer(("grows",), (4, N, grid.T, 2 * grid.U, K), g.dtype)
    _spread(g[:, 0::2], g[:, 1::2], list(rows))
    gm = context.buffer(("gm",), (4, 4, N, grid.T, grid.U, K), g.dtype)
    _spread(rows[:, :, :, 0::2], rows[:, :, :, 1::2], [gm[:, j] for j in range(4)])
    return gm


def _spread(even: np.ndarray, odd: np.ndarray, out: list[np.ndarray]) -> None:
    """E^T along one axis."""
    np.copyto(out[0], even)
    np.add(even, odd, out=out[1])
    np.subtract(even, odd, out=out[2])
    np.negative(odd, out=out[3])


def tiles_backward(gv: np.ndarray, grid: Tiling, gx_NHWC: np.ndarray, context: ForwardContext) -> None:
    """gx = D^T gv D into `gx_NHWC`: each pixel is the sum over the tiles that contain it. Overwrites gv."""
    _, _, N, T, U, C = gv.shape
    rows = context.buffer(("rows",), (4, N, T, 2 * U + 2, C), gv.dtype)
    _gather([gv[:, j] for j in range(4)], rows[:, :, :, 0::2], rows[:, :, :, 1::2], axis=3)
    padded = context.buffer(("padded",), (N, 2 * T + 2, 2 * U + 2, C), gv.dtype)
    _gather(list(rows), padded[:, 0::2], padded[:, 1::2], axis=1)
    _, H, W, _ = gx_NHWC.shape
    bottom, right = min(H, padded.shape[1] - grid.top), min(W, padded.shape[2] - grid.left)
    gx_NHWC[:, bottom:], gx_NHWC[:, :, right:] = 0, 0
    gx_NHWC[:, :bottom, :right] = padded[:, grid.top : grid.top + bottom, grid.left : grid.left + right]


def _gather(g: list[np.ndarray], even: np.ndarray, odd: np.ndarray, axis: int) -> None:
    """D^T along one axis: pixel 2t of tile t is pixel 2 of the previous tile, and 2t + 1 is its pixel 3."""
    first, last = _without(even, axis, slice(None, -1)), _without(even, axis, slice(-1, None))
    later = _without(even, axis, slice(1, None))
    odd_first, odd_last = _without(odd, axis, slice(None, -1)), _without(odd, axis, slice(-1, None))
    odd_later = _without(odd, axis, slice(1, None))
    np.copyto(first, g[0])
    last[...] = 0
    np.subtract(g[2], g[0], out=g[0])
    g[0] += g[1]  # -g0 + g1 + g2: the gradient of pixel 2
    later += g[0]
    np.subtract(g[1], g[2], out=g[1])
    np.add(g[1], g[3], out=odd_first)  # g1 - g2 + g3: the gradient of pixel 1
    odd_last[...] = 0
    odd_later -= g[3]


def _without(array: np.ndarray, axis: int, part: slice) -> np.ndarray:
    return array[(slice(None),) * axis + (part,)]
