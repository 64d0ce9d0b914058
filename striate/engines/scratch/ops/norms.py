"""Normalization: values are brought to mean 0 and variance 1, then scaled and shifted, channel by channel.

With z = (x - mean) / d, where d = sqrt(variance + eps) and both are taken over the same m values, the gradient of x is

    (gz - mean of gz - z * mean of (gz z)) / d        means over the same values

with gz = g times the scale. x changes its own z, and every other z through the mean and the variance. Shifting all x
together leaves the loss as it is, so this gradient has mean 0; stretching them does too, so its product with z has mean 0.
The gradient of the scale is the sum of g z, that of the shift the sum of g.

Batch normalization uses the values of a channel over the whole batch. Where workers share a batch, `all_reduce` sums over them.
"""

from collections.abc import Callable
from typing import NamedTuple

from striate.engines.scratch.library import Array, namespace

AllReduce = Callable[[Array], Array]
EPSILON = 1e-5  # PyTorch's default


class Normalized(NamedTuple):
    """What the gradient needs, and the statistics. `values` is how many values each mean is taken over."""

    z: Array
    d: Array
    values: int
    mean: Array
    variance: Array


def batch_norm(x: Array, scale_C: Array, shift_C: Array, count: int, all_reduce: AllReduce) -> tuple[Array, Normalized]:
    """Each channel over `count` values: those of `x` and, through `all_reduce`, of the other workers."""
    xp = namespace(x)
    axes = tuple(range(len(x.shape) - 1))
    mean = all_reduce(xp.sum(x, axis=axes)) / count
    centered = x - mean
    variance = all_reduce(xp.sum(centered * centered, axis=axes)) / count
    d = xp.sqrt(variance + EPSILON)
    z = centered / d
    return z * scale_C + shift_C, Normalized(z, d, count, mean, variance)


def batch_norm_backward(
    g: Array, saved: Normalized, scale_C: Array, all_reduce: AllReduce
) -> tuple[Array, Array, Array]:
    """The gradients of x, and of the scale and the shift from this worker's x alone."""
    xp = namespace(g)
    axes = tuple(range(len(g.shape) - 1))
    g_scale, g_shift = xp.sum(g * saved.z, axis=axes), xp.sum(g, axis=axes)
    mean_gz, mean_gz_z = all_reduce(g_shift) / saved.values, all_reduce(g_scale) / saved.values
    return (g - mean_gz - saved.z * mean_gz_z) * (scale_C / saved.d), g_scale, g_shift


def fixed_norm(x: Array, scale_C: Array, shift_C: Array, mean_C: Array, variance_C: Array) -> tuple[Array, Normalized]:
    """Batch normalization by given means and variances, as in evaluation."""
    d = namespace(x).sqrt(variance_C + EPSILON)
    z = (x - mean_C) / d
    return z * scale_C + shift_C, Normalized(z, d, 1, mean_C, variance_C)


def fixed_norm_backward(g: Array, saved: Normalized, scale_C: Array) -> tuple[Array, Array, Array]:
    """The statistics do not depend on x, so only the factor is left."""
    xp = namespace(g)
    axes = tuple(range(len(g.shape) - 1))
    return g * (scale_C / saved.d), xp.sum(g * saved.z, axis=axes), xp.sum(g, axis=axes)


def group_norm(x: Array, scale_C: Array, shift_C: Array, groups: int) -> tuple[Array, Normalized]:
    """Each image alone, over the pixels and channels of a group. One group is layer norm, a group per channel instance norm."""
    xp = namespace(x)
    split = _grouped(x, groups)
    mean = xp.mean(split, axis=(1, 3), keepdims=True)
    centered = split - mean
    variance = xp.mean(centered * centered, axis=(1, 3), keepdims=True)
    d = xp.sqrt(variance + EPSILON)
    z = centered / d
    return xp.reshape(z, x.shape) * scale_C + shift_C, Normalized(z, d, 0, mean, variance)


def group_norm_backward(g: Array, saved: Normalized, scale_C: Array, groups: int) -> tuple[Array, Array, Array]:
    """The gradients of x, of the scale and of the shift."""
    xp = namespace(g)
    axes = tuple(range(len(g.shape) - 1))
    gz = _grouped(g * scale_C, groups)
    mean_gz = xp.mean(gz, axis=(1, 3), keepdims=True)
    mean_gz_z = xp.mean(gz * saved.z, axis=(1, 3), keepdims=True)
    gx = (gz - mean_gz - saved.z * mean_gz_z) / saved.d
    return xp.reshape(gx, g.shape), xp.sum(g * xp.reshape(saved.z, g.shape), axis=axes), xp.sum(g, axis=axes)


def _grouped(x: Array, groups: int) -> Array:
    """(N, pixels, groups, channels of a group)."""
    N, *_, C = x.shape
    return namespace(x).reshape(x, (N, -1, groups, C // groups))
