"""Batch norm for NumPy, alone and before a max pool: long sums, and each pass over a block that stays in the cache.

Batch norm is linear in what it reads, once the means of ops/norms.py are known. With a = scale / d,

    y = a x + shift - a mean
    gx = a g + b x + c        b = -a (mean of g z) / d        c = -a (mean of g) - b mean

so z is never stored: x is there already. As z = (x - mean) / d, the sum of g z follows from the sums of g x and of g.

A max pool after it can come first, where the scale is positive: y grows with x, so the largest y is that of the largest x.
Then y, and the sums of g and g x, are needed for one pixel of each block alone.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from striate.core.errors import TrainingError
from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.norms import EPSILON
from striate.engines.scratch.optimized.maps import cache_blocks, images_first, pixels_first


class Statistics(NamedTuple):
    """By channel. `values` is how many values each mean is taken over."""

    mean: np.ndarray
    variance: np.ndarray
    d: np.ndarray
    values: int


class BatchNorm(layers.BatchNorm):
    """Arrays are (pixels, N C) inside: a row is a pixel of all images. The frozen layer is the plain one."""

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.is_frozen:
            return super().forward(x, context)
        rows = as_rows(x, (self.name, "x"), context)
        statistics = self.statistics(rows, x, context)
        context.save_for_backward(self.name, (rows, statistics))
        return as_map(self.apply(rows, statistics, context), x)

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if self.is_frozen:
            return super().backward(g, context)
        x, statistics = context.pop_saved(self.name)
        rows = as_rows(g, (self.name, "g"), context)
        a, b, c = (repeated(factor, x) for factor in self.factors(rows, x, statistics, context))
        gx = self.empty_gradient(x.shape, rows, context)
        for part in blocks(x):
            np.multiply(rows[part], a, out=gx[part])
            add_linear(gx[part], x[part], b, c, context)
        return as_map(gx, g)

    def statistics(self, rows: np.ndarray, x: np.ndarray, context: ForwardContext) -> Statistics:
        """Of the batch in training, else the running ones."""
        if not context.is_training:
            mean, variance = self.buffers["running_mean"], self.buffers["running_var"]
            return Statistics(mean, variance, np.sqrt(variance + EPSILON), 0)
        values = context.batch_size * math.prod(x.shape[1:-1])
        if values == 1:
            raise TrainingError(f"layer {self.name}: batch norm needs two values a channel; use a batch of 2 or more")
        mean, variance = (array.astype(x.dtype) for array in self._moments(rows, values, context))
        statistics = Statistics(mean, variance, np.sqrt(variance + EPSILON), values)
        if context.worker == 0:
            self._update_running_statistics(mean, variance, values)
        return statistics

    def _moments(self, rows: np.ndarray, values: int, context: ForwardContext) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance in float64. Each worker takes squares about its own mean, so that few digits cancel."""
        count = rows.size // self.channels
        mean = self._by_channel(_sum(rows)) / count
        own = repeated(mean.astype(rows.dtype), rows)
        squares = np.zeros_like(own)
        for part in blocks(rows):
            centered = context.buffer(("block",), rows[part].shape, rows.dtype)
            np.subtract(rows[part], own, out=centered)
            squares += np.einsum("pn,pn->n", centered, centered)
        about_zero = self._by_channel(squares) + count * mean * mean
        total, total_squares = context.all_reduce(np.stack([count * mean, about_zero])) / values
        return total, np.maximum(total_squares - total * total, 0)

    def apply(self, rows: np.ndarray, statistics: Statistics, context: ForwardContext) -> np.ndarray:
        """y = a x + shift - a mean."""
        a = self.parameters["weight"] / statistics.d
        factor, shift = repeated(a, rows), repeated(self.parameters["bias"] - a * statistics.mean, rows)
        y = context.buffer((self.name, "y"), rows.shape, rows.dtype)
        for part in blocks(rows):
            np.multiply(rows[part], factor, out=y[part])
            y[part] += shift
        return y

    def factors(
        self, g: np.ndarray, x: np.ndarray, statistics: Statistics, context: ForwardContext
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a, b and c of the gradient of x, by channel; sets the gradients of scale and shift."""
        mean, _, d, values = statistics
        g_shift = self._by_channel(_sum(g))
        g_scale = (self._by_channel(_sum_of_products(g, x)) - mean * g_shift) / d
        self.set_gradients(context, weight=g_scale.astype(x.dtype), bias=g_shift.astype(x.dtype))
        mean_gz, mean_g = context.all_reduce(np.stack([g_scale, g_shift])) / values
        a = self.parameters["weight"] / d
        b = -a * mean_gz / d
        c = -a * mean_g - b * mean
        return a, b.astype(x.dtype), c.astype(x.dtype)

    @property
    def channels(self) -> int:
        return len(self.parameters["weight"])

    def _by_channel(self, of_row: np.ndarray) -> np.ndarray:
        """The sum over images, in float64."""
        return of_row.reshape(-1, self.channels).sum(axis=0, dtype=np.float64)


class NormThenPool(layers.Layer):
    """A batch norm and the max pool after it, pooled first where every scale is positive and the pool is a partition."""

    def __init__(self, norm: BatchNorm, pool: layers.MaxPool) -> None:
        super().__init__(norm.name)
        self.norm, self.pool = norm, pool
        self.needs_input_grad, self.gradients = norm.needs_input_grad, norm.gradients

    def forward(self, x: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not self._is_pooled_first:
            return self.pool.forward(self.norm.forward(x, context), context)
        rows = as_rows(x, (self.name, "x"), context)
        statistics = self.norm.statistics(rows, x, context)
        y = self.pool.forward(x, context)
        pooled = as_rows(y, (self.name, "pooled"), context)
        context.save_for_backward(self.name, (rows, pooled, statistics))
        return as_map(self.norm.apply(pooled, statistics, context), y)

    def backward(self, g: np.ndarray, context: ForwardContext) -> np.ndarray:
        if not self._is_pooled_first:
            return self.norm.backward(self.pool.backward(g, context), context)
        x, pooled, statistics = context.pop_saved(self.name)
        rows = as_rows(g, (self.name, "g"), context)
        a, b, c = self.norm.factors(rows, pooled, statistics, context)
        scaled = context.buffer((self.name, "scaled"), rows.shape, rows.dtype)
        np.multiply(rows, repeated(a, rows), out=scaled)
        gx = self.pool.backward(as_map(scaled, g), context)
        gx_rows = as_rows(gx, (self.name, "gx"), context)
        b, c = repeated(b, x), repeated(c, x)
        for part in blocks(x):
            add_linear(gx_rows[part], x[part], b, c, context)
        return gx

    def leaf_layers(self) -> Iterator[layers.Layer]:
        yield self.norm
        yield self.pool

    @property
    def _is_pooled_first(self) -> bool:
        return not self.norm.is_frozen and bool((self.norm.parameters["weight"] > 0).all())


def as_rows(x: np.ndarray, key: tuple[str, ...], context: ForwardContext) -> np.ndarray:
    """The values of each pixel, image by image, as a row: (pixels, N C). Of features, (N, C), each image is a row."""
    if x.ndim == 2:
        return np.ascontiguousarray(x)
    pixels = pixels_first(x, key, context)
    return pixels.reshape(math.prod(pixels.shape[:2]), -1)


def as_map(rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rows as an array of the shape of `x`."""
    if x.ndim == 2:
        return rows
    N, H, W, C = x.shape
    return images_first(rows.reshape(H, W, N, C))


def repeated(of_channel: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A number for each channel as a row, once for each image: NumPy works faster on two long rows than on many short ones."""
    return np.tile(of_channel, rows.shape[1] // len(of_channel))


def blocks(rows: np.ndarray) -> Iterator[slice]:
    return cache_blocks(len(rows), rows.shape[1])


def add_linear(out: np.ndarray, x: np.ndarray, b: np.ndarray, c: np.ndarray, context: ForwardContext) -> None:
    """out += b x + c."""
    line = context.buffer(("block",), x.shape, x.dtype)
    np.multiply(x, b, out=line)
    line += c
    out += line


def _sum(rows: np.ndarray) -> np.ndarray:
    """The sum of the rows, by matrix products."""
    total = np.zeros(rows.shape[1], rows.dtype)
    for part in blocks(rows):
        ones = np.ones((1, part.stop - part.start), rows.dtype)
        total += (ones @ rows[part])[0]
    return total


def _sum_of_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum over rows of their products."""
    total = np.zeros(a.shape[1], a.dtype)
    for part in blocks(a):
        total += np.einsum("pn,pn->n", a[part], b[part])
    return total
