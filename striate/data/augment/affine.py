"""Inverse affine matrices: for a pixel (row, column, 1) of the result, where in the source image it comes from.

Each function returns N x 3 x 3 matrices around the center of the image. In a product of several, the rightmost
belongs to the step that was applied last.
"""

import numpy as np

from striate.data.augment.config import ShapeHWC


def inverse_flip(flips: np.ndarray, shape: ShapeHWC) -> np.ndarray:
    """Mirror left to right where `flips` (N, bool) is true."""
    matrices = _identity(len(flips))
    matrices[flips, 1, 1] = -1
    matrices[flips, 1, 2] = shape[1] - 1
    return matrices


def inverse_shift(pixels: np.ndarray) -> np.ndarray:
    """Shift by `pixels` (N x 2: down, right)."""
    matrices = _identity(len(pixels))
    matrices[:, :2, 2] = -pixels
    return matrices


def inverse_rotation(degrees: np.ndarray, scales: np.ndarray, shape: ShapeHWC) -> np.ndarray:
    """Rotate counterclockwise by `degrees` (N) and enlarge `scales` (N) times."""
    cos, sin = np.cos(np.radians(degrees)) / scales, np.sin(np.radians(degrees)) / scales
    # Rows count downward, so the signs of the sines are the opposite of the textbook's.
    return _around_center([[cos, sin], [-sin, cos]], shape)


def inverse_shear(along_rows: np.ndarray, along_columns: np.ndarray, shape: ShapeHWC) -> np.ndarray:
    """Push each row right, or each column down, by this share of its distance from the center.

    For each image one of the two must be 0: the inverse of a shear along both axes is another matrix.
    """
    ones = np.ones(len(along_rows))
    return _around_center([[ones, -along_columns], [-along_rows, ones]], shape)


def _around_center(linear: list[list[np.ndarray]], shape: ShapeHWC) -> np.ndarray:
    matrices = _identity(len(linear[0][0]))
    matrices[:, :2, :2] = np.array(linear).transpose(2, 0, 1)
    center = (np.array(shape[:2]) - 1) / 2
    matrices[:, :2, 2] = center - matrices[:, :2, :2] @ center
    return matrices


def _identity(count: int) -> np.ndarray:
    return np.repeat(np.eye(3)[None], count, 0)
