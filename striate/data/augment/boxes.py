"""Boxes that are painted over: cutout (DeVries and Taylor, arXiv 1708.04552), random erasing (Zhong et al., arXiv 1708.04896).

A box is (top, bottom, left, right), the second and the last not included, and lies within the image.
"""

from collections.abc import Callable

import numpy as np

Shape = tuple[int, int, int]

# Random erasing, as in its paper: the share of the image's area, and height to width.
AREA = (0.02, 0.4)
ASPECT = (0.3, 1 / 0.3)


def draw(
    uniform: Callable[[str, int], np.ndarray], shape: Shape, cutout: int, erase: float
) -> dict[str, np.ndarray] | None:
    """`boxes` and `fills` of the kinds that are on, cutout first."""
    found = []
    if cutout:
        numbers = uniform("cutout", 2)
        found.append((squares(numbers, shape, cutout), np.zeros((len(numbers), shape[2]), np.uint8)))
    if erase:
        numbers = uniform("erase", 5)
        fills = (uniform("erase color", shape[2]) * 256).astype(np.uint8)
        found.append((erased(numbers, shape, erase), fills))
    if not found:
        return None
    return {name: np.stack(parts, 1) for name, parts in zip(("boxes", "fills"), zip(*found, strict=True), strict=True)}


def squares(numbers: np.ndarray, shape: Shape, side: int) -> np.ndarray:
    """The middle is any pixel, so that a square near an edge is cut there."""
    return around((numbers * shape[:2]).astype(np.int64), np.full((len(numbers), 2), side), shape)


def erased(numbers: np.ndarray, shape: Shape, probability: float) -> np.ndarray:
    """Boxes that lie within the image as they are; an empty one where nothing is erased. A side longer than the image is cut to it."""
    size = np.array(shape[:2])
    area = (AREA[0] + numbers[:, 1] * (AREA[1] - AREA[0])) * size.prod()
    # The logarithm is even, so that lying boxes are as likely as standing ones.
    aspect = np.exp(np.log(ASPECT[0]) + numbers[:, 2] * np.log(ASPECT[1] / ASPECT[0]))
    sides = np.clip(np.rint(np.sqrt(np.stack([area * aspect, area / aspect], 1))), 1, size).astype(np.int64)
    starts = (numbers[:, 3:5] * (size - sides + 1)).astype(np.int64)
    ends = starts + sides * (numbers[:, :1] < probability)
    return np.stack([starts[:, 0], ends[:, 0], starts[:, 1], ends[:, 1]], 1)


def around(middles: np.ndarray, sides: np.ndarray, shape: Shape) -> np.ndarray:
    """Boxes of `sides` (N x 2) around pixels, cut at the edges of the image."""
    starts = middles - sides // 2
    starts, ends = np.clip(starts, 0, shape[:2]), np.clip(starts + sides, 0, shape[:2])
    return np.stack([starts[:, 0], ends[:, 0], starts[:, 1], ends[:, 1]], 1)
