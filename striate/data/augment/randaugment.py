"""Two random operations an image at one strength, after RandAugment (Cubuk et al., arXiv 1909.13719).

Operations are expressed as the numbers that the other kinds already use (a matrix, color factors, levels), so a batch
is still a handful of array operations. Their order is therefore fixed, and the two operations of an image differ.
"""

from dataclasses import dataclass

import numpy as np

from striate.data.augment import affine
from striate.data.augment.config import ShapeHWC

# What strength 10 does; a smaller strength does its share of it.
DEGREES = 30.0
SHEAR = 0.3  # pixels aside for each pixel from the center
MOVE = 0.45  # of the side, in whole pixels
FACTOR = 0.9  # brightness, contrast, saturation: 1 - 0.9 or 1 + 0.9
BITS = 4  # so many of the 8 bits are dropped
SOLARIZE = 255  # so many levels are inverted, counted from the brightest down

OPERATIONS = (
    "identity", "rotate", "shear-x", "shear-y", "move-x", "move-y",
    "brightness", "contrast", "saturation", "autocontrast", "posterize", "solarize",
)  # fmt: skip


@dataclass(frozen=True)
class Operations:
    """What the two operations of each image add to its draws."""

    affine: np.ndarray
    """N x 3 x 3: inverse matrices."""
    color_factors: np.ndarray
    """N x 3: brightness, contrast, saturation."""
    levels: np.ndarray
    """float32, N x 3: as `Draws.levels`."""


def draw_operations(uniform: np.ndarray, strength: float, shape: ShapeHWC) -> Operations:
    """Two operations and the sign of each for every image; from numbers in [0, 1), N x 4."""
    return operations(draw_signs(uniform), strength, shape)


def draw_signs(uniform: np.ndarray) -> np.ndarray:
    """For each image and operation: 1 or -1 if it is one of the image's two, else 0."""
    count, kinds = len(uniform), len(OPERATIONS)
    first = (uniform[:, 0] * kinds).astype(np.int64)
    second = (first + 1 + (uniform[:, 1] * (kinds - 1)).astype(np.int64)) % kinds
    signs = np.zeros((count, kinds))
    signs[np.arange(count), first] = np.where(uniform[:, 2] < 0.5, -1, 1)
    signs[np.arange(count), second] = np.where(uniform[:, 3] < 0.5, -1, 1)
    return signs


def operations(sign_table: np.ndarray, strength: float, shape: ShapeHWC) -> Operations:
    """The numbers of the operations whose sign is not 0; `sign_table` is N x operations."""
    signs, count, share = dict(zip(OPERATIONS, sign_table.T, strict=True)), len(sign_table), strength / 10
    zeros = np.zeros(count)
    rotation = affine.inverse_rotation(signs["rotate"] * DEGREES * share, np.ones(count), shape)
    shear_x = affine.inverse_shear(signs["shear-x"] * SHEAR * share, zeros, shape)
    shear_y = affine.inverse_shear(zeros, signs["shear-y"] * SHEAR * share, shape)
    most_pixels = np.rint(np.array(shape[:2]) * MOVE * share)
    move = affine.inverse_shift(np.stack([signs["move-y"], signs["move-x"]], 1) * most_pixels)
    factors = [1 + signs[kind] * FACTOR * share for kind in ("brightness", "contrast", "saturation")]
    levels = [
        signs["autocontrast"] != 0,
        np.where(signs["posterize"] != 0, 8 - round(BITS * share), 8),
        np.where(signs["solarize"] != 0, 256 - round(SOLARIZE * share), 256),
    ]
    return Operations(rotation @ shear_x @ shear_y @ move, np.stack(factors, 1), np.stack(levels, 1).astype(np.float32))
