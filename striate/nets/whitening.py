"""A first layer whose filters whiten the images: what it gives has about unit variance, and nothing of one filter in another.

Its filters are the principal axes of the images' patches, each divided by the deviation along it, and their negatives
(so that a relu or gelu loses nothing): the first layer of the public CIFAR-10 speed runs, arXiv:2404.00498, section 3.2. No torch here.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from striate.nets.placing import place
from striate.nets.sizes import Shape
from striate.nets.spec import NetworkConfig

# 5,000 images of CIFAR-10 and 20,000 others have the same axes (cosines above 0.999), their deviations within 2 %.
ENOUGH = 5000
AT_ONCE = 250
# Added to the variance along each axis, in units of normalized pixels: the last axes hold little but rounding.
FLOOR = 5e-4


def whitened(
    network: NetworkConfig, input_shape: Shape, classes: int, images: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> dict[str, np.ndarray]:
    """The weight of the layer that whitens, float32 by its name in torch's order of axes; nothing if none does.

    `images` are the training images (N, H, W, C), uint8; `mean` and `std` (C) what they are normalized with, in units of 0 to 1.
    """
    first = None if network.is_foreign else place(network, input_shape, classes)[0]
    if first is None or first.init != "whiten" or not first.weight_shape:
        return {}
    variances, axes = np.linalg.eigh(_covariance(images, first.weight_shape[2:], mean, std))
    strongest = axes[:, ::-1].T[: first.weight_shape[0] // 2]
    # An axis has no sign of its own, and LAPACK's choice is no promise.
    strongest = strongest * np.sign(strongest[np.arange(len(strongest)), np.abs(strongest).argmax(1)])[:, None]
    scaled = strongest / np.sqrt(variances[::-1][: len(strongest)] + FLOOR)[:, None]
    filters = np.concatenate([scaled, -scaled]).reshape(first.weight_shape)
    return {f"{first.name}.weight": filters.astype(np.float32)}


def _covariance(images: np.ndarray, kernel: tuple[int, ...], mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Of all patches of the kernel's size: channels x rows x columns, in that order, about zero."""
    total, count = 0.0, 0
    for start in range(0, len(images), AT_ONCE):
        x = (images[start : start + AT_ONCE] / 255 - mean) / std
        patches = sliding_window_view(x, kernel, axis=(1, 2)).reshape(-1, x.shape[3] * math.prod(kernel))
        total = total + patches.T @ patches
        count += len(patches)
    return np.asarray(total / count)
