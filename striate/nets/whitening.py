"""A first layer that whitens: of each pair of its filters, one gives unit variance and shares nothing with the other pairs.

Its filters are the principal axes of the images' patches, each divided by the deviation along it, and their negatives
(so that a relu or gelu loses nothing): the first layer of the public CIFAR-10 speed runs, arXiv:2404.00498, section 3.2. No torch here.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from striate.nets.config import NetworkConfig
from striate.nets.init import permutation
from striate.nets.layers import Shape
from striate.nets.resolve import resolve

# Those of 5,000 images of CIFAR-10. 20,000 others have the same axes (cosines above 0.999), their deviations within 2 %.
ENOUGH_PIXELS = 5000 * 32 * 32
# Numbers in the patches of one chunk.
AT_ONCE = 10_000_000
# Added to the variance along each axis, in units of normalized pixels: the last axes hold little but rounding.
FLOOR = 5e-4


def whitened(
    network: NetworkConfig,
    input_shape: Shape,
    classes: int,
    images: np.ndarray,
    rows: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
) -> dict[str, np.ndarray]:
    """The weight of the layer that whitens, float32 by its name in torch's order of axes; nothing if none does.

    `images` (N, H, W, C) are uint8, those in `rows` the training images; `mean` and `std` (C) normalize them, in units of 0 to 1.
    """
    first = None if network.is_foreign else resolve(network, input_shape, classes)[0]
    if first is None or first.init != "whiten" or not first.weight_shape:
        return {}
    variances, axes = np.linalg.eigh(_covariance(images, rows, first.weight_shape[2:], mean, std))
    strongest = axes[:, ::-1].T[: first.weight_shape[0] // 2]
    # An axis has no sign of its own, and LAPACK's choice is no promise.
    strongest = strongest * np.sign(strongest[np.arange(len(strongest)), np.abs(strongest).argmax(1)])[:, None]
    scaled = strongest / np.sqrt(variances[::-1][: len(strongest)] + FLOOR)[:, None]
    filters = np.concatenate([scaled, -scaled]).reshape(first.weight_shape)
    return {f"{first.name}.weight": filters.astype(np.float32)}


def _covariance(
    images: np.ndarray, rows: np.ndarray, kernel: tuple[int, ...], mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Of all patches of the kernel's size: channels x rows x columns, in that order, about zero."""
    _, height, width, channels = images.shape
    size = channels * math.prod(kernel)
    # At random, because rows may lie class by class.
    chosen = np.sort(rows[permutation(0, len(rows))[: max(1, ENOUGH_PIXELS // (height * width))]])
    at_once = max(1, AT_ONCE // (height * width * size))
    total, count = np.zeros((size, size)), 0
    for start in range(0, len(chosen), at_once):
        x = (images[chosen[start : start + at_once]] / 255 - mean) / std
        patches = sliding_window_view(x, kernel, axis=(1, 2)).reshape(-1, size)
        total += patches.T @ patches
        count += len(patches)
    return total / count
