"""Faster layers for NumPy: they write into arrays that are used again in each step, a few images at a time.

`OPTIMIZED` names the layers that have one; tests hold each equal to the plain layer.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window
from striate.engines.scratch.optimized import convolution

CACHED = 1 << 18  # numbers of a map that fit into the cache


def cache_blocks(x_NHWC: np.ndarray) -> Iterator[slice]:
    """Slices of a batch with as many images as the cache holds."""
    step = max(1, CACHED // max(1, x_NHWC[0].size))
    for start in range(0, len(x_NHWC), step):
        yield slice(start, start + step)


class MaxPool(layers.MaxPool):
    """Faster where blocks do not overlap and are not padded, so that each pixel belongs to one block at most."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not _is_partition(self.window):
            return super().forward(x, context)
        P, Q = self.window.outputs(x.shape[1:3])
        y = context.buffer((self.name, "y"), (x.shape[0], P, Q, x.shape[3]), x.dtype)
        for part in cache_blocks(x):
            first, *others = self._pixels(x[part], (P, Q))
            if others:
                np.maximum(first, others[0], out=y[part])
            else:
                np.copyto(y[part], first)
            for other in others[1:]:
                np.maximum(y[part], other, out=y[part])
        context.save_for_backward(self.name, (x, y))
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not _is_partition(self.window):
            return super().backward(g, context)
        x, y = context.pop_saved(self.name)
        P, Q = y.shape[1:3]
        gx = context.buffer((self.name, "gx"), x.shape, x.dtype)
        down, right = self.window.kernel
        gx[:, P * down :], gx[:, :, Q * right :] = 0, 0
        for part in cache_blocks(x):
            remaining = g[part].copy()
            *others, last = self._pixels(gx[part], (P, Q))
            for pixels, out in zip(self._pixels(x[part], (P, Q)), others, strict=False):
                np.multiply(remaining, pixels == y[part], out=out)
                remaining -= out  # each gradient is passed on once
            np.copyto(last, remaining)  # if none of the others is the largest, the last one is
        return gx

    def _pixels(self, x: np.ndarray, outputs: tuple[int, int]) -> list[np.ndarray]:
        """For each pixel of the block, views of that pixel in every block."""
        slices = (self.window.slices_at(r, s, outputs) for r, s in self.window.pixels())
        return [x[:, rows, columns] for rows, columns in slices]


def _is_partition(window: Window) -> bool:
    return window.kernel == window.stride and window.pads == ((0, 0), (0, 0))


class Activate(layers.Activate):
    """Relu without intermediate arrays; the other activations are the plain ones."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.activation != "relu":
            return super().forward(x, context)
        y = context.buffer((self.name, "y"), x.shape, x.dtype)
        np.maximum(x, 0, out=y)
        context.save_for_backward(self.name, (None, y))
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.activation != "relu":
            return super().backward(g, context)
        _, y = context.pop_saved(self.name)
        gx = context.buffer((self.name, "gx"), y.shape, y.dtype)
        return np.multiply(g, y > 0, out=gx)


class Dense(layers.Dense):
    """Matrix products into existing arrays."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        context.save_for_backward(self.name, x)
        w = self.parameters["weight"]
        y = np.matmul(x, w, out=context.buffer((self.name, "y"), (x.shape[0], w.shape[1]), x.dtype))
        if "bias" in self.parameters:
            y += self.parameters["bias"]
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> Any:
        x, w = context.pop_saved(self.name), self.parameters["weight"]
        gw = np.matmul(x.T, g, out=context.buffer((self.name, "gw"), w.shape, w.dtype))
        self.set_gradients(context, weight=gw, bias=g.sum(axis=0))
        return (
            np.matmul(g, w.T, out=context.buffer((self.name, "gx"), x.shape, x.dtype))
            if self.needs_input_grad
            else None
        )


OPTIMIZED: dict[type[layers.Layer], type[layers.Layer]] = {
    layers.Convolution: convolution.Convolution,
    layers.MaxPool: MaxPool,
    layers.Activate: Activate,
    layers.Dense: Dense,
}
