"""A 3x3 convolution by tiles, with 36 products in place of 144 (Winograd 1980; Lavin and Gray, arXiv:1509.09308).

**Along one axis.** The four sums y_k = d_k w_0 + d_(k+1) w_1 + d_(k+2) w_2 for k = 0 ... 3 take 12 products. Look at their gradient
first: with g_k for the gradient of y_k, that of d_n is the sum of g_k w_r over k + r = n. These are the coefficients of the product of
two polynomials, g(t) = g_0 + g_1 t + g_2 t^2 + g_3 t^3 and w(t) = w_0 + w_1 t + w_2 t^2. It has degree 5, so its values at six
points decide it, and each of these is a value of g times a value of w: six products are enough.

    values of g at the points:  E^T g      E^T has the row 1 a a^2 a^3 for the point a
    values of w at the points:  F w        F has the row 1 a a^2, divided by c_a
    back to coefficients:       D^T        D has for a the coefficients of the product of t - b over the other finite points b

D^T is Lagrange's interpolation: the polynomial in row a of D is 0 at every other finite point, and c_a at a. The sixth point is
infinity, where the value of a polynomial is its highest coefficient: its row is 0 0 0 1 in E^T, 0 0 1 in F, and in D the product of
t - b over all finite points, which is 0 at each of them. With 0, 1, -1, 2, -2 and infinity, D has whole numbers up to 5.

So the gradient of d is D^T (E^T g * F w). With w fixed that is the transpose of the map from d to y; hence

    y = E (F w * D d)      E 4x6, F 6x3, D 6x6

**Along both axes** a tile of 6x6 pixels d gives 4x4 results: y = E m E^T with m = u * v, u = F w F^T and v = D d D^T. Summed over
channels, each of the 36 numbers of m is a matrix product over all tiles, (tiles, C) by (C, K). Every step is linear, so the
gradients are

    gm = E^T gy E        gw = F^T (v^T gm) F        gx = D^T (gm u^T) D

and tiles overlap by two pixels, whose gradients are added. Tiles of 2x2 and of 3x3 results work in the same way, with 4 and 5 of the
points: 16 products in place of 36, and 25 in place of 81. A tile that fits the map wastes less, so the shape decides (`tile_for`).

The arrays here are (H, W, N, C), see maps.py. I J are the points along rows and columns, T U the tiles along them, P Q the sides of
the result. Each transform is two matrix products, along the rows of a map and along its columns, for all images and channels at once.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Pair, Window

POINTS = (
    0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
)  # and infinity; a tile of 2 or 3 results along an axis takes the first 3 or 4 of these
TILES = (2, 3, 4)  # with larger ones the numbers in D and E grow, and rounding with them
# The rule of `tile_for`, fitted to the times of some 40 shapes (benchmarks/scratch_convolution_speed.py).
LEAST_CHANNELS = 8
LEAST_NUMBERS = 1 << 17  # in all patches of a batch
FILTER_COST = 64


class Transforms(NamedTuple):
    """The matrices for tiles of `size` results along an axis."""

    E: np.ndarray  # (size, size + 2)
    F: np.ndarray  # (size + 2, 3)
    D: np.ndarray  # (size + 2, size + 2)


def transforms(size: int, dtype: Any) -> Transforms:
    """By the derivation above."""
    points = POINTS[: size + 1]
    D = np.zeros((size + 2, size + 2))
    for row, point in enumerate(points):
        D[row, : size + 1] = np.poly([other for other in points if other != point])[::-1]
    D[-1] = np.poly(points)[::-1]
    c = np.array([*(np.polyval(D[row, ::-1], point) for row, point in enumerate(points)), 1.0])
    E, F = _values(points, size).T, _values(points, 3) / c[:, None]
    return Transforms(*(np.ascontiguousarray(array, dtype) for array in (E, F, D)))


def _values(points: tuple[float, ...], count: int) -> np.ndarray:
    """The matrix from `count` coefficients of a polynomial to its values at the points and at infinity."""
    highest = np.eye(1, count, count - 1)
    return np.vstack([np.vander(points, count, increasing=True), highest])


class Tiling(NamedTuple):
    """How a map is cut into tiles."""

    size: int  # results of a tile along an axis
    sides: Pair  # H W
    outputs: Pair  # P Q
    tiles: Pair  # T U
    pads: Pair  # above and left of the map

    @property
    def side(self) -> int:
        return self.size + 2

    @property
    def columns(self) -> int:
        """Of the map with its padding, up to the end of the last tile."""
        return self.size * self.tiles[1] + 2

    def rows_of(self, t: int) -> tuple[slice, slice]:
        """The rows of the map under tile row `t`, and which rows of the tile they are; the others are padding."""
        first = self.size * t - self.pads[0]
        stop = min(max(0, first + self.side), self.sides[0])
        start = min(max(0, first), stop)
        return slice(start, stop), slice(start - first, stop - first)


def tile_for(window: Window, sides: Pair, images: int, C: int, K: int) -> int:
    """The size of the tiles for a batch, or 0 if patches are faster: a rule of shapes alone, the same for any number of threads.

    The cost of a way is its products for each channel and filter, and as many again for FILTER_COST positions: filters are
    transformed and read once for all images. Few channels or small batches do not repay the transforms.
    """
    P, Q = window.outputs(sides)
    is_plain = window.kernel == (3, 3) and window.stride == window.dilation == (1, 1)
    if not is_plain or min(C, K) < LEAST_CHANNELS or 9 * P * Q * images * C < LEAST_NUMBERS:
        return 0
    cost = {0: 9 * (P * Q * images + FILTER_COST)}
    for size in TILES:
        cost[size] = (size + 2) ** 2 * (-(-P // size) * -(-Q // size) * images + FILTER_COST)
    return min(cost, key=cost.__getitem__)


def tiling(size: int, sides: Pair, window: Window) -> Tiling:
    P, Q = window.outputs(sides)
    return Tiling(size, sides, (P, Q), (-(-P // size), -(-Q // size)), (window.pads[0][0], window.pads[1][0]))


def filters(w_RSCK: np.ndarray, F: np.ndarray, u_IJCK: np.ndarray, context: ForwardContext) -> None:
    """u = F w F^T."""
    side, CK = len(F), w_RSCK[0, 0].size
    rows = context.buffer(("filters",), (side, 3, CK), w_RSCK.dtype)
    np.matmul(F, _as_matrix(w_RSCK), out=_as_matrix(rows))
    np.matmul(F, rows, out=u_IJCK.reshape(side, side, CK))


def filters_backward(gu_IJCK: np.ndarray, F: np.ndarray, gw_RSCK: np.ndarray, context: ForwardContext) -> None:
    """gw = F^T gu F."""
    side, CK = len(F), gu_IJCK[0, 0].size
    columns = context.buffer(("filters",), (side, 3, CK), gu_IJCK.dtype)
    np.matmul(F.T, gu_IJCK.reshape(side, side, CK), out=columns)
    np.matmul(F.T, _as_matrix(columns), out=_as_matrix(gw_RSCK))


def tiles(
    x_HWNC: np.ndarray, D: np.ndarray, grid: Tiling, t: int, v_IJUNC: np.ndarray, context: ForwardContext
) -> None:
    """v = D d D^T of tile row `t`: along the rows into a strip of the map, then along the columns of each tile."""
    _, W, N, C = x_HWNC.shape
    strip = context.buffer(("strip",), (grid.side, grid.columns, N * C), x_HWNC.dtype)
    left, right = grid.pads[1], grid.pads[1] + W
    strip[:, :left], strip[:, right:] = 0, 0
    rows, of_tile = grid.rows_of(t)
    np.matmul(D[:, of_tile], _as_matrix(x_HWNC[rows]), out=_as_matrix(strip)[:, left * N * C : right * N * C])
    i, column, value = strip.strides
    overlapping = as_strided(
        strip, (grid.side, grid.tiles[1], grid.side, N * C), (i, grid.size * column, column, value)
    )
    np.matmul(D, overlapping, out=_columns(v_IJUNC))


def tiles_backward(
    gv_IJUNC: np.ndarray, D: np.ndarray, grid: Tiling, t: int, gx_HWNC: np.ndarray, context: ForwardContext
) -> None:
    """gx = D^T gv D of tile row `t`, for t = 0, 1, ... in order.

    The first two rows and columns of a tile are the last two of the tile before, so they are added; the others are new.
    """
    _, W, N, C = gx_HWNC.shape
    size, U = grid.size, grid.tiles[1]
    strip = context.buffer(("strip",), (grid.side, grid.columns, N * C), gv_IJUNC.dtype)
    shared = context.buffer(("shared",), (grid.side, U, 2, N * C), gv_IJUNC.dtype)
    np.matmul(D.T[2:], _columns(gv_IJUNC), out=strip[:, 2:].reshape(grid.side, U, size, N * C))
    np.matmul(D.T[:2], _columns(gv_IJUNC), out=shared)
    strip[:, :2] = 0
    for column in (0, 1):
        strip[:, column : column + size * (U - 1) + 1 : size] += shared[:, :, column]
    left = grid.pads[1]
    inside = _as_matrix(strip)[:, left * N * C : (left + W) * N * C]
    rows, of_tile = grid.rows_of(t)
    if t == 0:
        gx_HWNC[:2] = 0
    new = max(2 - of_tile.start, 0)  # the first row of ours that is no other tile's
    np.matmul(D.T[of_tile][new:], inside, out=_as_matrix(gx_HWNC[rows][new:]))
    added = context.buffer(("added",), gx_HWNC[rows][:new].shape, gv_IJUNC.dtype)
    np.matmul(D.T[of_tile][:new], inside, out=_as_matrix(added))
    gx_HWNC[rows][:new] += added


def results(
    m_IJTUNK: np.ndarray, E: np.ndarray, grid: Tiling, first: int, y_PQNK: np.ndarray, context: ForwardContext
) -> None:
    """y = E m E^T of the tile rows from `first` on: along the rows of all tiles, then along their columns."""
    side, _, T, U, N, K = m_IJTUNK.shape
    size, (P, Q) = grid.size, grid.outputs
    half = context.buffer(("half",), (size, side, T, U, N * K), y_PQNK.dtype)
    np.matmul(E, _as_matrix(m_IJTUNK), out=_as_matrix(half))
    is_whole = size * grid.tiles[0] == P and size * U == Q  # else the last tiles extend beyond the result
    start, stop = size * first, min(P, size * (first + T))
    y = y_PQNK[start:stop] if is_whole else context.buffer(("whole",), (size * T, size * U, N, K), y_PQNK.dtype)
    np.matmul(E, half.transpose(0, 2, 3, 1, 4), out=y.reshape(T, size, U, size, N * K).transpose(1, 0, 2, 3, 4))
    if not is_whole:
        y_PQNK[start:stop] = y[: stop - start, :Q]


def results_backward(
    g_PQNK: np.ndarray, E: np.ndarray, grid: Tiling, t: int, gm_IJUNK: np.ndarray, context: ForwardContext
) -> None:
    """gm = E^T gy E of tile row `t`. Beyond the result the gradient is zero."""
    _, Q, N, K = g_PQNK.shape
    size, U = grid.size, grid.tiles[1]
    strip = context.buffer(("strip",), (grid.side, size * U, N * K), g_PQNK.dtype)
    strip[:, Q:] = 0
    rows = g_PQNK[size * t : size * t + size]
    np.matmul(E.T[:, : len(rows)], _as_matrix(rows), out=_as_matrix(strip)[:, : Q * N * K])
    np.matmul(E.T, strip.reshape(grid.side, U, size, N * K), out=_columns(gm_IJUNK))


def _as_matrix(array: np.ndarray) -> np.ndarray:
    """A row for each entry of the first axis."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _columns(v_IJUNC: np.ndarray) -> np.ndarray:
    """(I, U, J, NC): for each tile and each of its rows, a matrix with a row for each of its columns."""
    side, _, U, N, C = v_IJUNC.shape
    return v_IJUNC.reshape(side, side, U, N * C).swapaxes(1, 2)
