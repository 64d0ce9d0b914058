"""Max pool, relu and fully connected layers for NumPy: into arrays that are there already, a few images at a time.

Which layers have a faster way for NumPy.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window
from striate.engines.scratch.optimized import convolution

CACHED = 1 << 18  # numbers of a map that are looked at several times while they are in the cache


def few(x_NHWC: np.ndarray) -> Iterator[slice]:
    """The images of a map, so many at a time as the cache holds."""
    step = max(1, CACHED // max(1, x_NHWC[0].size))
    for start in range(0, len(x_NHWC), step):
        yield slice(start, start + step)


class MaxPool(layers.MaxPool):
    """Faster where blocks neither overlap nor are padded: each pixel belongs to one block at most."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not _is_a_partition(self.window):
            return super().forward(x, context)
        P, Q = self.window.outputs(x.shape[1:3])
        y = context.buffer((self.name, "y"), (x.shape[0], P, Q, x.shape[3]), x.dtype)
        for part in few(x):
            first, *others = self._seen(x[part], (P, Q))
            if others:
                np.maximum(first, others[0], out=y[part])
            else:
                np.copyto(y[part], first)
            for other in others[1:]:
                np.maximum(y[part], other, out=y[part])
        context.keep(self.name, (x, y))
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not _is_a_partition(self.window):
            return super().backward(g, context)
        x, y = context.take(self.name)
        P, Q = y.shape[1:3]
        gx = context.buffer((self.name, "gx"), x.shape, x.dtype)
        down, right = self.window.kernel
        gx[:, P * down :], gx[:, :, Q * right :] = 0, 0
        for part in few(x):
            left = g[part].copy()
            *others, last = self._seen(gx[part], (P, Q))
            for seen, out in zip(self._seen(x[part], (P, Q)), others, strict=False):
                np.multiply(left, seen == y[part], out=out)
                left -= out  # what was given away is not given twice
            np.copyto(last, left)  # if none before it is the largest, the last is
        return gx

    def _seen(self, x: np.ndarray, outputs: tuple[int, int]) -> list[np.ndarray]:
        """For each pixel of the block, that pixel of every block."""
        places = (self.window.seen_by(r, s, outputs) for r, s in self.window.pixels())
        return [x[:, rows, columns] for rows, columns in places]


def _is_a_partition(window: Window) -> bool:
    return window.kernel == window.stride and window.pads == ((0, 0), (0, 0))


class Activate(layers.Activate):
    """Relu without intermediate results; the others as they are."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.activation != "relu":
            return super().forward(x, context)
        y = context.buffer((self.name, "y"), x.shape, x.dtype)
        np.maximum(x, 0, out=y)
        context.keep(self.name, (None, y))
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.activation != "relu":
            return super().backward(g, context)
        _, y = context.take(self.name)
        gx = context.buffer((self.name, "gx"), y.shape, y.dtype)
        return np.multiply(g, y > 0, out=gx)


class Dense(layers.Dense):
    """Products into arrays that are there already."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        context.keep(self.name, x)
        w = self.parameters["weight"]
        y = np.matmul(x, w, out=context.buffer((self.name, "y"), (x.shape[0], w.shape[1]), x.dtype))
        if "bias" in self.parameters:
            y += self.parameters["bias"]
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> Any:
        x, w = context.take(self.name), self.parameters["weight"]
        gw = np.matmul(x.T, g, out=context.buffer((self.name, "gw"), w.shape, w.dtype))
        self.give(context, weight=gw, bias=g.sum(axis=0))
        return (
            np.matmul(g, w.T, out=context.buffer((self.name, "gx"), x.shape, x.dtype))
            if self.needs_input_grad
            else None
        )


FASTER: dict[type[layers.Layer], type[layers.Layer]] = {
    layers.Convolution: convolution.Convolution,
    layers.MaxPool: MaxPool,
    layers.Activate: Activate,
    layers.Dense: Dense,
}
