"""Candidates for near duplicates: the nearest neighbors of each image by a small picture of its colors, mirrored or not.

The description is split into a part that a mirror keeps and one that it negates. With the products E of the first and O of the
second, two images have the cosine E + O, and E - O if one is mirrored: one pass finds both.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.audit.blocks import in_threads
from striate.data.dataset import Images

GRID = 8  # the small picture has GRID x GRID colors
NEIGHBORS = 20  # of each image
KEPT = 32  # directions of each half of the description
ROWS, TILE = 256, 1024  # of cosines at once
GROUP = 64  # cosines of which only the largest is compared first
CHUNK = 4096
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class Pairs(NamedTuple):
    """Pairs of rows, the smaller first; whether the second is mirrored; how alike they are."""

    first: Rows
    second: Rows
    mirrored: NDArray[np.bool_]
    score: Floats

    def select(self, chosen: NDArray[np.bool_] | Rows) -> "Pairs":
        """These pairs only."""
        return Pairs(self.first[chosen], self.second[chosen], self.mirrored[chosen], self.score[chosen])


def candidates(small: Images, neighbors: int = NEIGHBORS) -> Pairs:
    """Each image with its nearest neighbors, straight or mirrored, every pair once, with the cosine as its score."""
    even, odd = (_reduced(half) for half in describe(small))
    second, score = _neighbors(even, odd, min(neighbors, len(small) - 1))
    first, second, score = np.repeat(np.arange(len(small)), second.shape[1]), second.ravel(), score.ravel()
    low, high = np.minimum(first, second), np.maximum(first, second)
    _, kept = np.unique(low * len(small) + high, return_index=True)
    low, high = low[kept], high[kept]
    mirrored = np.concatenate([_odd_products(odd, low[i : i + CHUNK], high[i : i + CHUNK]) < 0 for i in _starts(low)])
    return Pairs(low, high, mirrored, score[kept])


def _starts(rows: Rows) -> range:
    return range(0, max(1, len(rows)), CHUNK)


def _odd_products(odd: Floats, first: Rows, second: Rows) -> Floats:
    return np.einsum("nd,nd->n", odd[first], odd[second])


def describe(small: Images) -> tuple[Floats, Floats]:
    """The description of each image, as its mirror-symmetric and its antisymmetric half; of length 1 together."""
    count, side, _, channels = small.shape
    grid = np.empty((count, GRID, GRID, channels), np.float32)
    for start in range(0, count, CHUNK):
        rows = small[start : start + CHUNK].reshape(-1, GRID, side // GRID, side, channels).sum(2, dtype=np.float32)
        grid[start : start + CHUNK] = rows.reshape(-1, GRID, GRID, side // GRID, channels).sum(3)
    grid -= grid.mean((1, 2), keepdims=True)
    length = np.linalg.norm(grid.reshape(count, -1), axis=1)[:, None, None, None]
    grid = np.divide(grid, length, out=np.zeros_like(grid), where=length > 1)
    left, right = grid[:, :, : GRID // 2], grid[:, :, : GRID // 2 - 1 : -1]
    half = np.float32(np.sqrt(0.5))
    return ((left + right) * half).reshape(count, -1), ((left - right) * half).reshape(count, -1)


def _reduced(half: Floats) -> Floats:
    """The half in its KEPT directions of the largest spread, which is faster to multiply."""
    if half.shape[1] <= KEPT:
        return half
    _, directions = np.linalg.eigh(half.T @ half)
    return half @ directions[:, -KEPT:]


def _neighbors(even: Floats, odd: Floats, neighbors: int) -> tuple[Rows, Floats]:
    """The nearest neighbors of each row and their cosines, straight or mirrored."""
    count = len(even)
    second, score = np.empty((count, neighbors), np.int64), np.empty((count, neighbors), np.float32)

    def fill(rows: slice) -> None:
        second[rows], score[rows] = largest(_cosines(even, odd, rows), neighbors)

    in_threads(fill, count, ROWS)
    return second, score


def _cosines(even: Floats, odd: Floats, rows: slice) -> Floats:
    """Those of some rows with all others, padded to whole groups; tile by tile, so that a tile stays in the cache."""
    count = len(even)
    cosines = np.full((rows.stop - rows.start, -(-count // GROUP) * GROUP), -2, np.float32)
    for left in range(0, count, TILE):
        columns = slice(left, min(left + TILE, count))
        turned = odd[rows] @ odd[columns].T
        np.add(even[rows] @ even[columns].T, np.abs(turned, out=turned), out=cosines[:, columns])
    cosines[np.arange(len(cosines)), np.arange(rows.start, rows.stop)] = -2
    return cosines


def largest(cosines: Floats, count: int) -> tuple[Rows, Floats]:
    """Positions and values of the `count` largest of each row: they lie in the `count` groups of the largest maxima."""
    groups = cosines.reshape(len(cosines), -1, GROUP).max(2)
    if groups.shape[1] > count:
        chosen = np.argpartition(groups, -count, 1)[:, -count:]
        columns = (chosen[:, :, None] * GROUP + np.arange(GROUP)).reshape(len(cosines), -1)
    else:
        columns = np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    values = np.take_along_axis(cosines, columns, 1)
    best = np.argpartition(values, -count, 1)[:, -count:]
    return np.take_along_axis(columns, best, 1).astype(np.int64), np.take_along_axis(values, best, 1)
