"""Convolution for NumPy: a few images at a time, so that their patches stay in the cache between copy and product."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window, crop, pad
from striate.engines.scratch.optimized import winograd

ROWS = 512  # of a matrix product; with fewer, starting the product costs more than the product
# Numbers in a block of patches: at least MIN_BLOCK where rows are short, at most MAX_BLOCK where they are long.
MIN_BLOCK, MAX_BLOCK = 1 << 17, 1 << 21


def blocks(count: int, rows: int, width: int) -> Iterator[slice]:
    """Slices of a batch of `count` images, each of which takes `rows` rows of `width` numbers in a matrix."""
    image_size = rows * width
    images = max(1, min(max(ROWS // rows, MIN_BLOCK // image_size), MAX_BLOCK // image_size))
    for start in range(0, count, images):
        yield slice(start, min(start + images, count))


class Convolution(layers.Convolution):
    """By Winograd's tiles where that is faster, else by patches."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        context.save_for_backward(self.name, x)
        _, _, C, K = self.parameters["weight"].shape
        y = context.buffer((self.name, "y"), (x.shape[0], *self.window.outputs(x.shape[1:3]), K), x.dtype)
        if winograd.fits(self.window, C, K, self.groups):
            self._by_tiles(x, y, context)
        elif self.groups == 1:
            self._by_patches(x, y, context)
        else:
            return super().forward(x, context)
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        _, _, C, K = self.parameters["weight"].shape
        if self.groups != 1:
            return super().backward(g, context)
        x = context.pop_saved(self.name)
        gx = context.buffer((self.name, "gx"), x.shape, x.dtype) if self.needs_input_grad else None
        is_tiled = winograd.fits(self.window, C, K, self.groups)
        gw = self._by_tiles_backward(g, x, gx, context) if is_tiled else self._by_patches_backward(g, x, gx, context)
        ones = np.ones((1, g.size // K), g.dtype)
        self.set_gradients(context, weight=gw, bias=(ones @ g.reshape(-1, K))[0])
        return gx  # type: ignore[return-value]

    # By patches

    def _by_patches(self, x: np.ndarray, y: np.ndarray, context: ForwardContext) -> None:
        w, b = self.parameters["weight"], self.parameters.get("bias")
        matrix = w.reshape(-1, w.shape[3])
        for part in blocks(len(x), y.shape[1] * y.shape[2], matrix.shape[0]):
            rows = patches(x[part], self.window, context)
            out = y[part].reshape(-1, y.shape[3])
            np.matmul(rows, matrix, out=out)
            if b is not None:
                out += b

    def _by_patches_backward(
        self, g: np.ndarray, x: np.ndarray, gx: np.ndarray | None, context: ForwardContext
    ) -> np.ndarray:
        w = self.parameters["weight"]
        matrix = w.reshape(-1, w.shape[3])
        gw, gw_block = (context.buffer((self.name, key), matrix.shape, g.dtype) for key in ("gw", "gw_block"))
        gw[...] = 0
        for part in blocks(len(x), g.shape[1] * g.shape[2], matrix.shape[0]):
            g_rows = g[part].reshape(-1, g.shape[3])
            gw += np.matmul(patches(x[part], self.window, context).T, g_rows, out=gw_block)
            if gx is not None:
                gpatches = context.buffer(("gpatches",), (len(g_rows), matrix.shape[0]), g.dtype)
                np.matmul(g_rows, matrix.T, out=gpatches)
                _fold(gpatches.reshape(*g[part].shape[:3], *w.shape[:3]), self.window, gx[part])
        return gw.reshape(w.shape)

    # By tiles

    def _by_tiles(self, x: np.ndarray, y: np.ndarray, context: ForwardContext) -> None:
        grid, b = winograd.tiling(x, self.window), self.parameters.get("bias")
        C, K = x.shape[3], y.shape[3]
        u = self._filters(context)
        for part in blocks(len(x), grid.T * grid.U, 16 * max(C, K)):
            v = winograd.tiles(x[part], grid, context)
            m = context.buffer(("m",), (*v.shape[:5], K), x.dtype)
            np.matmul(v.reshape(16, -1, C), u, out=m.reshape(16, -1, K))
            if b is not None:
                m[1, 1] += b  # the only entry that is added once to each of the four results of a tile
            winograd.results(m, grid, y[part])

    def _by_tiles_backward(
        self, g: np.ndarray, x: np.ndarray, gx: np.ndarray | None, context: ForwardContext
    ) -> np.ndarray:
        grid = winograd.tiling(x, self.window)
        C, K = x.shape[3], g.shape[3]
        u = context.buffers[self.name, "u"].reshape(16, C, K)
        gu, gu_block = (context.buffer((key,), (16, C, K), g.dtype) for key in ("gu", "gu_block"))
        for part in blocks(len(x), grid.T * grid.U, 16 * max(C, K)):
            gm = winograd.results_backward(g[part], grid, context).reshape(16, -1, K)
            v = winograd.tiles(x[part], grid, context).reshape(16, -1, C)
            np.matmul(v.transpose(0, 2, 1), gm, out=gu_block if part.start else gu)
            if part.start:
                gu += gu_block
            if gx is not None:
                np.matmul(gm, u.transpose(0, 2, 1), out=v)
                gv = v.reshape(4, 4, -1, grid.T, grid.U, C)
                winograd.tiles_backward(gv, grid, gx[part], context)
        return np.ascontiguousarray(winograd.filters_backward(gu.reshape(4, 4, C, K)))

    def _filters(self, context: ForwardContext) -> np.ndarray:
        w = self.parameters["weight"]
        u = context.buffer((self.name, "u"), (4, 4, *w.shape[2:]), w.dtype)
        winograd.filters(w, u)
        return u.reshape(16, *w.shape[2:])


def patches(x_NHWC: np.ndarray, window: Window, context: ForwardContext) -> np.ndarray:
    """`unfold` as rows of a matrix, by one copy from a view in which pixels repeat."""
    N, H, W, C = x_NHWC.shape
    P, Q = window.outputs((H, W))
    padded = pad(x_NHWC, window)
    n, h, w, c = padded.strides
    (R, S), stride, dilation = window.kernel, window.stride, window.dilation
    strides = (n, h * stride[0], w * stride[1], h * dilation[0], w * dilation[1], c)
    view = as_strided(padded, (N, P, Q, R, S, C), strides, writeable=False)
    copied = context.buffer(("patches",), (N, P, Q, R, S, C), x_NHWC.dtype)
    np.copyto(copied, view)
    return copied.reshape(N * P * Q, R * S * C)


def _fold(gpatches_NPQRSC: np.ndarray, window: Window, gx_NHWC: np.ndarray) -> None:
    """`fold` into an existing array."""
    N, P, Q, _, _, C = gpatches_NPQRSC.shape
    sides = gx_NHWC.shape[1:3]
    padded = np.zeros((N, *window.padded(sides), C), gx_NHWC.dtype)
    for r, s in window.pixels():
        rows, columns = window.slices_at(r, s, (P, Q))
        padded[:, rows, columns] += gpatches_NPQRSC[:, :, :, r, s]
    gx_NHWC[...] = crop(padded, window, sides)
