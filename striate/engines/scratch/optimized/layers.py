"""Faster layers for NumPy: they write into arrays that are used again in each step, as much at a time as the cache holds.

`OPTIMIZED` names the layers that have one; tests hold each equal to the plain layer.
"""

from typing import Any

import numpy as np

from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window
from striate.engines.scratch.optimized import convolution, norms, patches
from striate.engines.scratch.optimized.maps import cache_blocks, images_first, like, pixels_first
from striate.engines.scratch.threads import split_evenly

# Weights of an fc layer that workers share; with fewer, waiting for each other costs more.
SHARED = 1 << 18


class MaxPool(layers.MaxPool):
    """Faster where blocks do not overlap and are not padded, so that each pixel belongs to one block at most."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not is_partition(self.window):
            return super().forward(x, context)
        x_HWNC = pixels_first(x, (self.name, "x"), context)
        P, Q = self.window.outputs(x.shape[1:3])
        y = context.buffer((self.name, "y"), (P, Q, *x_HWNC.shape[2:]), x.dtype)
        for part in cache_blocks(P, y[0].size):
            first, *others = self._pixels(x_HWNC, part, Q)
            np.copyto(y[part], first) if not others else np.maximum(first, others[0], out=y[part])
            for other in others[1:]:
                np.maximum(y[part], other, out=y[part])
        context.save_for_backward(self.name, (x_HWNC, y))
        return images_first(y)

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not is_partition(self.window):
            return super().backward(g, context)
        x_HWNC, y = context.pop_saved(self.name)
        g_PQNC = pixels_first(g, (self.name, "g"), context)
        P, Q = y.shape[:2]
        gx = self.empty_gradient(x_HWNC.shape, g_PQNC, context)
        down, right = self.window.kernel
        gx[P * down :], gx[:, Q * right :] = 0, 0
        for part in cache_blocks(P, y[0].size):
            remaining = context.buffer(("remaining",), g_PQNC[part].shape, g.dtype)
            np.copyto(remaining, g_PQNC[part])
            *others, last = self._pixels(gx, part, Q)
            for pixels, out in zip(self._pixels(x_HWNC, part, Q), others, strict=False):
                is_largest = np.equal(pixels, y[part], out=context.buffer(("is_largest",), pixels.shape, np.bool_))
                np.multiply(remaining, is_largest, out=out)
                remaining -= out  # each gradient is passed on once
            np.copyto(last, remaining)  # if none of the others is the largest, the last one is
        return images_first(gx)

    def _pixels(self, x_HWNC: np.ndarray, part: slice, Q: int) -> list[np.ndarray]:
        """For each pixel of the block, views of that pixel in every block of these rows of the result."""
        below = x_HWNC[part.start * self.window.stride[0] :]
        slices = (self.window.slices_at(r, s, (part.stop - part.start, Q)) for r, s in self.window.pixels())
        return [below[rows, columns] for rows, columns in slices]


def is_partition(window: Window) -> bool:
    return window.kernel == window.stride and window.pads == ((0, 0), (0, 0))


class Activate(layers.Activate):
    """Relu without intermediate arrays, in place where nothing else needs its input; the other activations are the plain ones."""

    is_in_place = False

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.activation != "relu":
            return super().forward(x, context)
        y = x if self.is_in_place else like(x, lambda shape: context.buffer((self.name, "y"), shape, x.dtype))
        np.maximum(x, 0, out=y)
        context.save_for_backward(self.name, (None, y))
        return y

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.activation != "relu":
            return super().backward(g, context)
        _, y = context.pop_saved(self.name)
        return np.multiply(g, y > 0, out=like(y, lambda shape: self.empty_gradient(shape, g, context)))


class Residual(layers.Residual):
    """Both sums into existing arrays."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        of_body, of_shortcut = self.body.forward(x, context), self.shortcut.forward(x, context)
        y = like(of_body, lambda shape: context.buffer((self.name, "y"), shape, x.dtype))
        return np.add(of_body, of_shortcut, out=y)

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        of_body, of_shortcut = self.body.backward(g, context), self.shortcut.backward(g, context)
        return np.add(of_body, of_shortcut, out=like(of_body, lambda shape: self.empty_gradient(shape, g, context)))


class Dense(layers.Dense):
    """Matrix products into existing arrays.

    Workers share a large layer: each computes some units for the images of all, so that it reads its part of the weights alone.
    Backward each takes some input features, and the gradient of their weights needs no sum over workers.
    """

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        w, b = self.parameters["weight"], self.parameters.get("bias")
        if not self._is_shared(context):
            context.save_for_backward(self.name, x)
            y = np.matmul(x, w, out=context.buffer((self.name, "y"), (x.shape[0], w.shape[1]), x.dtype))
            if b is not None:
                y += b
            return y
        x_all, y_all = self._shared("x", x.shape[1], x.dtype, context), self._shared("y", w.shape[1], x.dtype, context)
        own = slice(context.first, context.first + len(x))
        x_all[own] = x
        context.save_for_backward(self.name, x_all)
        context.team.wait()
        units = _part(w.shape[1], context)
        np.matmul(x_all, w[:, units], out=y_all[:, units])
        if b is not None:
            y_all[:, units] += b[units]
        context.team.wait()
        return y_all[own]

    def backward(self, g: np.ndarray, context: ForwardContext) -> Any:
        x, w = context.pop_saved(self.name), self.parameters["weight"]
        if not self._is_shared(context):
            gw = np.matmul(x.T, g, out=context.buffer((self.name, "gw"), w.shape, w.dtype))
            self.set_gradients(context, weight=gw, bias=g.sum(axis=0))
            if not self.needs_input_grad:
                return None
            return np.matmul(g, w.T, out=self.empty_gradient(x.shape, g, context))
        g_all, gx_all = (
            self._shared("g", w.shape[1], g.dtype, context),
            self._shared("gx", w.shape[0], g.dtype, context),
        )
        gw = context.shared_buffer((self.name, "gw"), w.shape, w.dtype)
        own = slice(context.first, context.first + len(g))
        g_all[own] = g
        context.team.wait()
        features = _part(w.shape[0], context)
        np.matmul(x[:, features].T, g_all, out=gw[features])
        if self.needs_input_grad:
            np.matmul(g_all, w[features].T, out=gx_all[:, features])
        self.set_gradients(context, bias=g.sum(axis=0), **({"weight": gw} if context.worker == 0 else {}))
        context.team.wait()
        return gx_all[own] if self.needs_input_grad else None

    def _is_shared(self, context: ForwardContext) -> bool:
        return context.team.active > 1 and self.parameters["weight"].size >= SHARED

    def _shared(self, key: str, size: int, dtype: Any, context: ForwardContext) -> np.ndarray:
        """A row for each image of the batch."""
        return context.shared_buffer((self.name, key), (context.batch_size, size), dtype)


def _part(count: int, context: ForwardContext) -> slice:
    """This worker's part of so many columns."""
    parts = split_evenly(count, context.team.active)
    return parts[context.worker] if context.worker < len(parts) else slice(0, 0)  # fewer columns than workers


OPTIMIZED: dict[type[layers.Layer], type[layers.Layer]] = {
    layers.Convolution: convolution.Convolution,
    layers.MaxPool: MaxPool,
    layers.Activate: Activate,
    layers.Dense: Dense,
    layers.BatchNorm: norms.BatchNorm,
    layers.Residual: Residual,
}
# No tiles: `precision: float32-direct`.
DIRECT = {**OPTIMIZED, layers.Convolution: patches.PatchConvolution}

# Nothing needs their result after the next layer has read it: not they themselves for their gradient, and it is no view of their input.
_DONE_WITH_RESULT = (layers.Convolution, layers.Dense, layers.BatchNorm, norms.NormThenPool, Residual)


def arrange(chain: layers.Chain, gradients: str = "chain") -> None:
    """Save what only layers in sequence can: arrays for gradients and for results of relu, and what a max pool throws away.

    The results of `chain`, and of the blocks in it, stay the same.
    """
    arranged: list[layers.Layer] = []
    for layer in chain.layers:
        before = arranged[-1] if arranged else None
        if isinstance(layer, Residual):
            arrange(layer.body, f"{gradients} body")
            arrange(layer.shortcut, f"{gradients} shortcut")
        if isinstance(before, norms.BatchNorm) and isinstance(layer, MaxPool) and is_partition(layer.window):
            arranged[-1] = norms.NormThenPool(before, layer)
        else:
            arranged.append(layer)
        if isinstance(layer, Activate):
            layer.is_in_place = isinstance(before, _DONE_WITH_RESULT)
        # A layer reads the gradient that the next one returned and returns its own: two arrays are enough for a chain.
        layer.gradients = gradients
    chain.layers = tuple(arranged)
