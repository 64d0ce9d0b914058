"""Two pictures laid on each other: the shift, scale, brightness and contrast that bring the second closest to the first.

Lucas and Kanade's method: Gauss-Newton steps on the squared differences, many pairs at once. B. D. Lucas and T. Kanade, An Iterative
Image Registration Technique with an Application to Stereo Vision, 1981. Shift and scale are along the axes, so that a picture
is resampled by two small matrices.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.audit.candidates import Floats
from striate.audit.spectra import best_shifts, whitened

STEPS = 6
MARGIN = 2  # pixels at each edge of the first picture that are not compared
DAMPING = 1e-3
MOST_SHIFT, MOST_SCALE = 7.0, 0.4  # pixels; logarithm
SCALES = (-0.24, -0.12, 0.0, 0.12, 0.24)  # logarithms, to start from


class Laid(NamedTuple):
    """Shift and logarithm of the scale along y and x, N x 2: where the pixels of the first picture lie in the second."""

    shift: Floats
    scale: Floats


def start(first: Floats, second: Floats) -> Laid:
    """Of a few scales and the small shifts, the best of each pair of gray N x S x S pictures."""
    count, side = first.shape[:2]
    spectrum, best = whitened(first), np.full(count, -2, np.float32)
    laid = Laid(np.zeros((count, 2), np.float32), np.zeros((count, 2), np.float32))
    for scale in SCALES:
        value, shift = best_shifts(spectrum, whitened(zoomed(second, scale)), side)
        better = value > best
        best[better] = value[better]
        laid.scale[better] = scale
        laid.shift[better] = -np.exp(scale) * shift[better]
    return laid


def zoomed(levels: Floats, scale: float) -> Floats:
    """The gray N x S x S pictures enlarged (a negative logarithm) or made smaller around their middle."""
    matrices, _ = weights(Laid(np.zeros((1, 2), np.float32), np.full((1, 2), scale, np.float32)), levels.shape[1], 0)
    return matrices[0, 0] @ levels @ matrices[0, 1].T


def register(first: Floats, second: Floats, laid: Laid, steps: int = STEPS) -> Laid:
    """The best shift and scale of each pair of gray N x S x S pictures, from `laid`."""
    side = first.shape[1]
    inner = slice(MARGIN, side - MARGIN)
    target = first[:, inner, inner]
    slope_y, slope_x = np.gradient(second, axis=(1, 2))
    stacked = np.stack([second, slope_y, slope_x], 1)
    grid = np.arange(side, dtype=np.float32)[inner] - (side - 1) / 2
    down, along = grid[:, None].astype(np.float32), grid[None].astype(np.float32)
    most = np.array([MOST_SHIFT, MOST_SHIFT, MOST_SCALE, MOST_SCALE], np.float32)
    now = np.concatenate(laid, 1).astype(np.float32)
    for _ in range(steps):
        matrices, inside = weights(Laid(now[:, :2], now[:, 2:]), side, MARGIN)
        moved, by_y, by_x = (resample(stacked, matrices) * inside[:, None]).transpose(1, 0, 2, 3)
        gain, offset = fit(moved, target, inside)
        residual = ((target - offset) * inside - gain * moved).reshape(len(now), -1)
        scale = np.exp(now[:, 2:])[:, :, None, None]
        by_y, by_x = gain * by_y, gain * by_x
        terms = [by_y, by_x, by_y * down * scale[:, 0], by_x * along * scale[:, 1], moved, inside]
        columns = np.stack(terms, 1).reshape(len(now), len(terms), -1)
        normal = columns @ columns.transpose(0, 2, 1)
        trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        normal += np.eye(len(terms), dtype=np.float32) * (DAMPING * trace / len(terms) + 1e-3)
        step = np.linalg.solve(normal, columns @ residual[:, :, None])[:, :4, 0]
        bound = np.array([1, 1, 0.1, 0.1], np.float32)
        now = np.clip(now + np.clip(step, -bound, bound), -most, most).astype(np.float32)
    return Laid(now[:, :2], now[:, 2:])


def weights(laid: Laid, side: int, margin: int) -> tuple[Floats, Floats]:
    """The matrices that resample along y and x, N x 2 x P x S, and 1 for each pixel that lies inside the second picture."""
    middle = np.float32((side - 1) / 2)
    grid = np.arange(margin, side - margin, dtype=np.float32) - middle
    where = grid * np.exp(laid.scale)[:, :, None] + laid.shift[:, :, None] + middle
    inside: Floats = ((where >= -0.5) & (where <= side - 0.5)).astype(np.float32)
    where = np.clip(where, 0, side - 1)
    matrices: Floats = np.maximum(0, 1 - np.abs(where[..., None] - np.arange(side, dtype=np.float32))).astype(
        np.float32
    )
    return matrices, inside[:, 0, :, None] * inside[:, 1, None, :]


def resample(pictures: Floats, matrices: Floats) -> Floats:
    """N x C x S x S pictures as the matrices of `weights` say, N x C x P x P."""
    resampled = matrices[:, None, 0] @ pictures @ matrices[:, None, 1].transpose(0, 1, 3, 2)
    return resampled.astype(np.float32, copy=False)


def fit(moved: Floats, target: Floats, inside: Floats) -> tuple[Floats, Floats]:
    """Contrast and brightness that bring `moved` closest to `target`, where it is inside."""
    total = np.maximum(inside.sum((1, 2), keepdims=True), 1)
    mean = moved.sum((1, 2), keepdims=True) / total
    goal = (target * inside).sum((1, 2), keepdims=True) / total
    centered = (moved - mean) * inside
    power = np.maximum((centered**2).sum((1, 2), keepdims=True), 1)
    gain = (centered * (target - goal)).sum((1, 2), keepdims=True) / power
    return gain.astype(np.float32), (goal - gain * mean).astype(np.float32)


def correlation(first: Floats, second: Floats, weight: Floats) -> NDArray[np.float32]:
    """The correlation of the values of each pair of arrays, weighted."""
    axes = tuple(range(1, first.ndim))
    weight = np.broadcast_to(weight, first.shape)
    total = np.maximum(weight.sum(axes, keepdims=True), 1e-6)
    first = (first - (first * weight).sum(axes, keepdims=True) / total) * weight
    second = (second - (second * weight).sum(axes, keepdims=True) / total) * weight
    power = (first**2).sum(axes) * (second**2).sum(axes)
    return (first * second).sum(axes) / np.sqrt(np.maximum(power, 1e-6))
