"""The weights of a first layer that whitens the training images. No torch here.

Its filters are the principal axes of the images' patches, each divided by the standard deviation along it, and their
negatives (so that a relu or gelu loses nothing). Among one of each pair, the outputs have unit variance and are
uncorrelated. This is the first layer of the public CIFAR-10 speed runs, arXiv:2404.00498, section 3.2.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from striate.core.seeds import stream
from striate.nets.config import NetworkConfig
from striate.nets.init import random_order
from striate.nets.layers import Shape
from striate.nets.resolve import resolve

# Those of 5,000 images of CIFAR-10. 20,000 others have the same axes (cosines above 0.999) and deviations within 2 %.
SAMPLE_PIXELS = 5000 * 32 * 32
# Numbers in the patches of one chunk.
CHUNK_NUMBERS = 10_000_000
# Added to the variance along each axis, in units of normalized pixels: the last axes hold little but rounding.
MIN_VARIANCE = 5e-4


def whitening_weights(
    network: NetworkConfig,
    input_shape: Shape,
    classes: int,
    images: np.ndarray,
    rows: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
) -> dict[str, np.ndarray]:
    """The weight of the first layer, float32 by its name in torch's order of axes; empty if no layer whitens.

    `images` (N, H, W, C) are uint8, those in `rows` the training images; `mean` and `std` (C) normalize them, in units of 0 to 1.
    """
    first = None if network.is_foreign else resolve(network, input_shape, classes)[0]
    if first is None or first.init != "whiten" or not first.weight_shape:
        return {}
    variances, axes = np.linalg.eigh(_covariance(images, rows, first.weight_shape[2:], mean, std))
    strongest = axes[:, ::-1].T[: first.weight_shape[0] // 2]
    # An axis has no sign of its own, and LAPACK does not promise one.
    strongest = strongest * np.sign(strongest[np.arange(len(strongest)), np.abs(strongest).argmax(1)])[:, None]
    scaled = strongest / np.sqrt(variances[::-1][: len(strongest)] + MIN_VARIANCE)[:, None]
    filters = np.concatenate([scaled, -scaled]).reshape(first.weight_shape)
    return {f"{first.name}.weight": filters.astype(np.float32)}


def _covariance(
    images: np.ndarray, rows: np.ndarray, kernel: tuple[int, ...], mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Second moments about zero of all patches of the kernel's size: channels x rows x columns, in that order."""
    _, height, width, channels = images.shape
    size = channels * math.prod(kernel)
    sample = _sample(rows, max(1, SAMPLE_PIXELS // (height * width)))
    chunk = max(1, CHUNK_NUMBERS // (height * width * size))
    total, count = np.zeros((size, size)), 0
    for start in range(0, len(sample), chunk):
        x = (images[sample[start : start + chunk]] / 255 - mean) / std
        patches = sliding_window_view(x, kernel, axis=(1, 2)).reshape(-1, size)
        total += patches.T @ patches
        count += len(patches)
    return total / count


def _sample(rows: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of `rows`, in order; drawn at random, because rows may be sorted by class."""
    return np.sort(rows[random_order(stream(0, "whitening"), len(rows))[:count]])
