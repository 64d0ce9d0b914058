"""Convolution by patches for NumPy: some rows of a map at a time, so that their patches stay in the cache between copy and product."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window
from striate.engines.scratch.optimized.maps import images_first, pixels_first

ROWS = 512  # of a matrix product; with fewer, starting the product costs more than the product
# Numbers in a block of patches: at least MIN_BLOCK where rows are short, at most MAX_BLOCK where they are long.
MIN_BLOCK, MAX_BLOCK = 1 << 17, 1 << 21
FEW_CHANNELS = 16  # with fewer, copying whole rows of one channel is faster than copying pixels


class PatchConvolution(layers.Convolution):
    """Of one group; more groups are the plain layer's."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.groups != 1:
            return super().forward(x, context)
        x_HWNC, w = pixels_first(x, (self.name, "x"), context), self.parameters["weight"]
        outputs = self.window.outputs(x.shape[1:3])
        y_PQNK = context.buffer((self.name, "y"), (*outputs, len(x), w.shape[3]), x.dtype)
        context.save_for_backward(self.name, self._forward(x_HWNC, y_PQNK, context))
        return images_first(y_PQNK)

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.groups != 1:
            return super().backward(g, context)
        g_PQNK, K = pixels_first(g, (self.name, "g"), context), g.shape[3]
        gw, gx = self._backward(g_PQNK, context.pop_saved(self.name), context)
        ones = np.ones((1, g.size // K), g.dtype)
        self.set_gradients(context, weight=gw, bias=(ones @ g_PQNK.reshape(-1, K))[0])
        return None if gx is None else images_first(gx)  # type: ignore[return-value]

    def _forward(self, x_HWNC: np.ndarray, y_PQNK: np.ndarray, context: ForwardContext) -> Any:
        """Write the result; returns what the gradients need."""
        w, b = self.parameters["weight"], self.parameters.get("bias")
        matrix = w.reshape(-1, w.shape[3])
        patches = Patches(x_HWNC, self.window, context)
        P, Q, N, K = y_PQNK.shape
        for part in blocks(P, Q * N, len(matrix)):
            rows = y_PQNK[part].reshape(-1, K)
            np.matmul(patches.rows(part, context), matrix, out=rows)
            if b is not None:
                rows += b
        return x_HWNC

    def _backward(
        self, g_PQNK: np.ndarray, saved: Any, context: ForwardContext
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The gradients of the filters and of the map, the latter only if it is needed."""
        w = self.parameters["weight"]
        matrix = w.reshape(-1, w.shape[3])
        patches = Patches(saved, self.window, context)
        gw, gw_block = (context.buffer((self.name, key), matrix.shape, w.dtype) for key in ("gw", "gw_block"))
        gw[...] = 0
        gpadded = self._empty_gradient_map(patches, g_PQNK, context)
        P, Q, N, K = g_PQNK.shape
        for part in blocks(P, Q * N, len(matrix)):
            g_rows = g_PQNK[part].reshape(-1, K)
            gw += np.matmul(patches.rows(part, context).T, g_rows, out=gw_block)
            if gpadded is not None:
                gpatches = patches.empty("gpatches", part, context)
                np.matmul(g_rows, matrix.T, out=_as_rows(gpatches))
                patches.fold(gpatches, part, gpadded)
        return gw.reshape(w.shape), None if gpadded is None else gpadded[patches.inside]

    def _empty_gradient_map(self, patches: "Patches", g: np.ndarray, context: ForwardContext) -> np.ndarray | None:
        if not self.needs_input_grad:
            return None
        return patches.padded_map(lambda shape: self.empty_gradient(shape, g, context))


class Patches:
    """The patches of a map as rows of a matrix.

    Where a pixel has few channels, the neighbor of a number in memory is the same channel of the next image, in the map and in the
    matrix: one channel of a whole row of the map is copied at once.
    """

    def __init__(self, x_HWNC: np.ndarray, window: Window, context: ForwardContext) -> None:
        self.window, self.shape, self.dtype = window, x_HWNC.shape, x_HWNC.dtype
        self.outputs = window.outputs(x_HWNC.shape[:2])
        self.inside = window.inside(x_HWNC.shape[:2])
        self.has_few_channels = x_HWNC.shape[3] < FEW_CHANNELS
        self.padded = x_HWNC
        if self.has_few_channels or window.padded(x_HWNC.shape[:2]) != x_HWNC.shape[:2]:
            self.padded = self.padded_map(lambda shape: context.buffer(("padded",), shape, x_HWNC.dtype))
            self.padded[self.inside] = x_HWNC

    def padded_map(self, empty: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
        """Zeros of the shape of the map with its padding. `empty` makes an array."""
        H, W, N, C = self.shape
        H, W = self.window.padded((H, W))
        padded = empty((C, H, W, N)).transpose(1, 2, 3, 0) if self.has_few_channels else empty((H, W, N, C))
        padded[...] = 0
        return padded

    def empty(self, key: str, part: slice, context: ForwardContext) -> np.ndarray:
        """An array for the patches of some rows of the result, (P, Q, N, R, S, C)."""
        (R, S), (_, _, N, C), P, Q = self.window.kernel, self.shape, part.stop - part.start, self.outputs[1]
        if self.has_few_channels:
            return context.buffer((key,), (R, S, C, P, Q, N), self.dtype).transpose(3, 4, 5, 0, 1, 2)
        return context.buffer((key,), (P, Q, N, R, S, C), self.dtype)

    def rows(self, part: slice, context: ForwardContext) -> np.ndarray:
        """`unfold` for some rows of the result, by one copy from a view in which pixels repeat."""
        copied = self.empty("patches", part, context)
        stride, dilation = self.window.stride, self.window.dilation
        h, w, n, c = self.padded.strides
        strides = (h * stride[0], w * stride[1], n, h * dilation[0], w * dilation[1], c)
        below = self.padded[part.start * stride[0] :]
        np.copyto(copied, as_strided(below, copied.shape, strides, writeable=False))
        return _as_rows(copied)

    def fold(self, gpatches: np.ndarray, part: slice, gpadded: np.ndarray) -> None:
        """`fold` for some rows of the result: added to the gradient of the padded map."""
        below = gpadded[part.start * self.window.stride[0] :]
        for r, s in self.window.pixels():
            rows, columns = self.window.slices_at(r, s, (gpatches.shape[0], gpatches.shape[1]))
            below[rows, columns] += gpatches[:, :, :, r, s]


def blocks(count: int, rows: int, width: int) -> Iterator[slice]:
    """Slices of `count` rows of a map, each of which takes `rows` rows of `width` numbers in a matrix."""
    size = rows * width
    step = max(1, min(max(ROWS // rows, MIN_BLOCK // size), MAX_BLOCK // size))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _as_rows(patches: np.ndarray) -> np.ndarray:
    """(P Q N, R S C) without a copy, whichever of the two is last in memory."""
    P, Q, N, R, S, C = patches.shape
    if patches.flags.c_contiguous:
        return patches.reshape(P * Q * N, R * S * C)
    return patches.transpose(3, 4, 5, 0, 1, 2).reshape(R * S * C, P * Q * N).T
