"""Boxes within an image: cutout (DeVries and Taylor, arXiv 1708.04552) and random erasing (Zhong et al., arXiv 1708.04896).

A box is (top, bottom, left, right) in pixels; bottom and right are not included.
"""

import numpy as np

from striate.data.augment.config import ShapeHWC

# Random erasing, as in its paper: the share of the image's area, and height to width.
AREA = (0.02, 0.4)
ASPECT = (0.3, 1 / 0.3)


def cutout_boxes(uniform: np.ndarray, shape: ShapeHWC, side: int) -> np.ndarray:
    """Squares (N x 4) around any pixel, clipped at the edges; from numbers in [0, 1), N x 2."""
    return clipped_boxes((uniform * shape[:2]).astype(np.int64), np.full((len(uniform), 2), side), shape)


def erasing_boxes(uniform: np.ndarray, shape: ShapeHWC, probability: float) -> np.ndarray:
    """Boxes (N x 4) that lie whole within the image, empty where nothing is erased; from numbers in [0, 1), N x 5.

    A side longer than the image is shortened to it.
    """
    size = np.array(shape[:2])
    area = (AREA[0] + uniform[:, 1] * (AREA[1] - AREA[0])) * size.prod()
    # Even in the logarithm, so that wide boxes are as likely as tall ones.
    aspect = np.exp(np.log(ASPECT[0]) + uniform[:, 2] * np.log(ASPECT[1] / ASPECT[0]))
    sides = np.clip(np.rint(np.sqrt(np.stack([area * aspect, area / aspect], 1))), 1, size).astype(np.int64)
    starts = (uniform[:, 3:5] * (size - sides + 1)).astype(np.int64)
    ends = starts + sides * (uniform[:, :1] < probability)
    return np.stack([starts[:, 0], ends[:, 0], starts[:, 1], ends[:, 1]], 1)


def clipped_boxes(centers: np.ndarray, sides: np.ndarray, shape: ShapeHWC) -> np.ndarray:
    """Boxes (N x 4) of `sides` (N x 2) around the pixels `centers` (N x 2), clipped at the edges of the image."""
    starts = centers - sides // 2
    starts, ends = np.clip(starts, 0, shape[:2]), np.clip(starts + sides, 0, shape[:2])
    return np.stack([starts[:, 0], ends[:, 0], starts[:, 1], ends[:, 1]], 1)
