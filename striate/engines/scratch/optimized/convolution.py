"""Convolution by Winograd's tiles (winograd.py has the arithmetic), some rows of tiles at a time; by patches where those are faster."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.optimized import winograd
from striate.engines.scratch.optimized.patches import PatchConvolution

# A block is at least so many tiles, which repays reading the filters once more,
LEAST_TILES = 256
# and has about so many numbers, if it has more tiles: the products find them in the cache.
BLOCK = 1 << 21


class _Tiles(NamedTuple):
    """What the gradients need of the forward pass: the transformed tiles, block by block, and not the map."""

    grid: winograd.Tiling
    blocks: list[np.ndarray]  # v of each block, (I, J, T, U, N, C)
    u: np.ndarray  # (I, J, C, K)


class Convolution(PatchConvolution):
    """Which way it takes is decided by the shapes of a batch: `winograd.tile_for`."""

    def _forward(self, x_HWNC: np.ndarray, y_PQNK: np.ndarray, context: ForwardContext) -> Any:
        (H, W, N, C), K = x_HWNC.shape, y_PQNK.shape[3]
        w, b = self.parameters["weight"], self.parameters.get("bias")
        size = winograd.tile_for(self.window, (H, W), context.batch_size, C, K)
        if not size:
            return super()._forward(x_HWNC, y_PQNK, context)
        grid, (E, F, D) = winograd.tiling(size, (H, W), self.window), winograd.transforms(size, w.dtype)
        u = context.buffer((self.name, "u"), (grid.side, grid.side, C, K), w.dtype)
        winograd.filters(w, F, u, context)
        kept = []
        for rows in _blocks(grid, N, C + K):
            key = (self.name, "v", str(rows.start)) if context.is_training else ("v",)
            shape = (grid.side, grid.side, len(rows), grid.tiles[1], N)
            v, m = context.buffer(key, (*shape, C), w.dtype), context.buffer(("m",), (*shape, K), w.dtype)
            for index, t in enumerate(rows):
                winograd.tiles(x_HWNC, D, grid, t, v[:, :, index], context)
            np.matmul(_by_point(v), _by_point(u), out=_by_point(m))
            if b is not None:
                m[1, 1] += b  # of the point 1, which counts once in each result of a tile
            winograd.results(m, E, grid, rows.start, y_PQNK, context)
            kept.append(v)
        return _Tiles(grid, kept, u)

    def _backward(
        self, g_PQNK: np.ndarray, saved: Any, context: ForwardContext
    ) -> tuple[np.ndarray, np.ndarray | None]:
        if not isinstance(saved, _Tiles):
            return super()._backward(g_PQNK, saved, context)
        (grid, blocks, u), w, N = saved, self.parameters["weight"], g_PQNK.shape[2]
        E, F, D = winograd.transforms(grid.size, w.dtype)
        gu, gu_block = (context.buffer((key,), u.shape, w.dtype) for key in ("gu", "gu_block"))
        gx = None
        if self.needs_input_grad:
            gx = self.empty_gradient((*grid.sides, N, w.shape[2]), g_PQNK, context)
        first = 0
        for v in blocks:
            rows = range(first, first + v.shape[2])
            gm = context.buffer(("m",), (*v.shape[:5], w.shape[3]), w.dtype)
            for index, t in enumerate(rows):
                winograd.results_backward(g_PQNK, E, grid, t, gm[:, :, index], context)
            np.matmul(_by_point(v).transpose(0, 2, 1), _by_point(gm), out=_by_point(gu_block if first else gu))
            if first:
                gu += gu_block
            if gx is not None:
                np.matmul(_by_point(gm), _by_point(u).transpose(0, 2, 1), out=_by_point(v))  # the tiles are done with
                for index, t in enumerate(rows):
                    winograd.tiles_backward(v[:, :, index], D, grid, t, gx, context)
            first = rows.stop
        gw = context.buffer((self.name, "gw"), w.shape, w.dtype)
        winograd.filters_backward(gu, F, gw, context)
        return gw, gx


def _blocks(grid: winograd.Tiling, images: int, channels: int) -> Iterator[range]:
    """The rows of tiles in each block; `channels` are those of the map and of the result together."""
    T, U = grid.tiles
    tiles = U * images
    step = max(1, LEAST_TILES // tiles, BLOCK // (tiles * grid.side**2 * channels))
    for start in range(0, T, step):
        yield range(start, min(start + step, T))


def _by_point(array: np.ndarray) -> np.ndarray:
    """(I, J, ..., C) as a matrix with a row for each tile, or channel, for each of the points."""
    side, _, *_, channels = array.shape
    return array.reshape(side * side, -1, channels)
