"""Steps of geometry undone, as matrices: where the pixel (row, column, 1) of the picture came from.

Each is N x 3 x 3, around the middle of the image. A product undoes several steps: the rightmost first, which is
the one that was done last.
"""

import numpy as np

Shape = tuple[int, int, int]


def flipped(flips: np.ndarray, shape: Shape) -> np.ndarray:
    """Mirrored left to right, or not."""
    matrices = _identity(len(flips))
    matrices[flips, 1, 1] = -1
    matrices[flips, 1, 2] = shape[1] - 1
    return matrices


def moved(pixels: np.ndarray) -> np.ndarray:
    """Moved by pixels (down, right), N x 2."""
    matrices = _identity(len(pixels))
    matrices[:, :2, 2] = -pixels
    return matrices


def turned(degrees: np.ndarray, scales: np.ndarray, shape: Shape) -> np.ndarray:
    """Turned counterclockwise and made `scales` times as large."""
    cos, sin = np.cos(np.radians(degrees)) / scales, np.sin(np.radians(degrees)) / scales
    # Rows count downward, so that counterclockwise to the eye is the other way round in the formula.
    return _around_the_middle([[cos, sin], [-sin, cos]], shape)


def sheared(along_rows: np.ndarray, along_columns: np.ndarray, shape: Shape) -> np.ndarray:
    """Each row pushed right by a share of its distance from the middle, or each column pushed down likewise.

    One of the two must be 0: pushing both ways at once is another matter.
    """
    one = np.ones(len(along_rows))
    return _around_the_middle([[one, -along_columns], [-along_rows, one]], shape)


def _around_the_middle(linear: list[list[np.ndarray]], shape: Shape) -> np.ndarray:
    matrices = _identity(len(linear[0][0]))
    matrices[:, :2, :2] = np.array(linear).transpose(2, 0, 1)
    middle = (np.array(shape[:2]) - 1) / 2
    matrices[:, :2, 2] = middle - matrices[:, :2, :2] @ middle
    return matrices


def _identity(count: int) -> np.ndarray:
    return np.repeat(np.eye(3)[None], count, 0)
