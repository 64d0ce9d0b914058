"""Two operations an image at one strength, after RandAugment (Cubuk et al., arXiv 1909.13719).

What is drawn is not a program for each image but a row of numbers that the other kinds already use (a matrix,
color factors, levels), so that a batch is still a handful of array operations. That fixes their order, and it
asks for two different operations: one that comes twice would have to be applied twice.
"""

from dataclasses import dataclass

import numpy as np

from striate.data.augment import affine as maps

Shape = tuple[int, int, int]

# What strength 10 does; a smaller one does its share of it.
DEGREES = 30.0
SHEAR = 0.3  # pixels aside for each pixel from the middle
MOVE = 0.45  # of the side, in whole pixels
FACTOR = 0.9  # brightness, contrast, saturation: 1 - 0.9 or 1 + 0.9
BITS = 4  # so many of the 8 bits are dropped
SOLARIZE = 255  # the levels that are inverted, counted from the brightest down

OPERATIONS = (
    "identity", "rotate", "shear-x", "shear-y", "move-x", "move-y",
    "brightness", "contrast", "saturation", "autocontrast", "posterize", "solarize",
)  # fmt: skip


@dataclass(frozen=True)
class Strong:
    """What the two operations add to an image's draws."""

    maps: np.ndarray  # N x 3 x 3
    factors: np.ndarray  # N x 3: brightness, contrast, saturation
    levels: np.ndarray  # float32, N x 3: autocontrast, bits, from which level on is inverted


def draw(uniform: np.ndarray, strength: float, shape: Shape) -> Strong:
    """From four numbers in [0, 1) a place: two operations and the sign of each."""
    return built(signed(uniform), strength, shape)


def built(table: np.ndarray, strength: float, shape: Shape) -> Strong:
    """From 1, -1 or 0 for each place and operation."""
    signs, count, share = dict(zip(OPERATIONS, table.T, strict=True)), len(table), strength / 10
    turned = maps.turned(signs["rotate"] * DEGREES * share, np.ones(count), shape)
    nothing = np.zeros(count)
    pushed = maps.sheared(signs["shear-x"] * SHEAR * share, nothing, shape)
    leaned = maps.sheared(nothing, signs["shear-y"] * SHEAR * share, shape)
    most = np.rint(np.array(shape[:2]) * MOVE * share)
    moved = maps.moved(np.stack([signs["move-y"], signs["move-x"]], 1) * most)
    factors = [1 + signs[kind] * FACTOR * share for kind in ("brightness", "contrast", "saturation")]
    levels = [
        signs["autocontrast"] != 0,
        np.where(signs["posterize"] != 0, 8 - round(BITS * share), 8),
        np.where(signs["solarize"] != 0, 256 - round(SOLARIZE * share), 256),
    ]
    return Strong(turned @ pushed @ leaned @ moved, np.stack(factors, 1), np.stack(levels, 1).astype(np.float32))


def signed(uniform: np.ndarray) -> np.ndarray:
    """For each place and operation: 1 or -1 if it is one of the two, else 0."""
    count, kinds = len(uniform), len(OPERATIONS)
    first = (uniform[:, 0] * kinds).astype(np.int64)
    second = (first + 1 + (uniform[:, 1] * (kinds - 1)).astype(np.int64)) % kinds
    table = np.zeros((count, kinds))
    table[np.arange(count), first] = np.where(uniform[:, 2] < 0.5, -1, 1)
    table[np.arange(count), second] = np.where(uniform[:, 3] < 0.5, -1, 1)
    return table
