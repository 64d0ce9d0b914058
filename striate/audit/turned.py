"""Two pictures laid on each other more freely than `register` does: also turned, sheared and moved by a quarter of the side.

The same method with all six parameters of an affine map, from several starts. It costs about ten times as much, and with so much freedom
more pictures of one kind of thing agree, so it is for pairs that something else than their pixels has chosen.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.audit.candidates import Floats
from striate.audit.register import fit
from striate.audit.spectra import best_shifts, whitened

STEPS = 10
MARGIN = 2  # pixels at each edge of the first picture that are not compared
DAMPING = 1e-3
ANGLES = (-24, -16, -8, 0, 8, 16, 24)  # degrees, to start from
SCALES = (-0.25, 0.25)  # logarithms, to start from
SHIFTS = 8  # pixels, each way, to start from
MOST_SHIFT, MOST_CHANGE = 10.0, 0.7  # pixels; of an entry of the matrix


class Map(NamedTuple):
    """Where the pixels of the first picture lie in the second, from the middle of each: N x 2 x 2 matrices and N x 2 shifts (y, x)."""

    matrix: Floats
    shift: Floats


def free_start(first: Floats, second: Floats) -> tuple[Map, NDArray[np.bool_]]:
    """Of a few turns, scales and shifts the best of each pair of gray N x S x S pictures, and which are mirrored."""
    count, side = first.shape[:2]
    spectrum, best = whitened(first), np.full(count, -2, np.float32)
    laid = Map(np.zeros((count, 2, 2), np.float32), np.zeros((count, 2), np.float32))
    is_mirrored = np.zeros(count, np.bool_)
    for matrix in _starts():
        turned = resample(second[:, None], Map(matrix[None], np.zeros((1, 2), np.float32)), 0)[0][:, 0]
        # The mirror image of the second picture, turned, is the mirror image of it turned the other way.
        for moving, flip in ((turned, False), (turned[:, :, ::-1], True)):
            value, shift = best_shifts(spectrum, whitened(moving), side, SHIFTS)
            better = value > best
            own = matrix * np.array([[1, -1], [-1, 1]], np.float32) if flip else matrix
            best[better], is_mirrored[better] = value[better], flip
            laid.matrix[better] = own
            laid.shift[better] = (-shift @ own.T)[better]
    return laid, is_mirrored


@cache
def _starts() -> tuple[Floats, ...]:
    turns = [
        np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], np.float32) for a in np.deg2rad(np.array(ANGLES))
    ]
    return (*turns, *(np.float32(np.exp(scale)) * np.eye(2, dtype=np.float32) for scale in SCALES))


def register_freely(first: Floats, second: Floats, laid: Map) -> Map:
    """The best affine map of each pair of gray N x S x S pictures, from `laid`."""
    count, side = first.shape[:2]
    inner = slice(MARGIN, side - MARGIN)
    target = first[:, inner, inner]
    slope_y, slope_x = np.gradient(second, axis=(1, 2))
    stacked = np.stack([second, slope_y, slope_x], 1)
    down, along = _grid(side, MARGIN)
    now = Map(laid.matrix.copy(), laid.shift.copy())
    bound = np.array([0.1, 0.1, 0.1, 0.1, 1, 1], np.float32)
    for _ in range(STEPS):
        moved, inside = resample(stacked, now, MARGIN)
        moved, by_y, by_x = (moved * inside[:, None]).transpose(1, 0, 2, 3)
        gain, offset = fit(moved, target, inside)
        residual = ((target - offset) * inside - gain * moved).reshape(count, -1)
        by_y, by_x = gain * by_y, gain * by_x
        terms = [by_y * down, by_y * along, by_x * down, by_x * along, by_y, by_x, moved, inside]
        columns = np.stack(terms, 1).reshape(count, len(terms), -1)
        normal = columns @ columns.transpose(0, 2, 1)
        trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        normal += np.eye(len(terms), dtype=np.float32) * (DAMPING * trace / len(terms) + 1e-3)
        step = np.clip(np.linalg.solve(normal, columns @ residual[:, :, None])[:, :6, 0], -bound, bound)
        matrix = now.matrix + step[:, :4].reshape(-1, 2, 2)
        limit = np.eye(2, dtype=np.float32)
        now = Map(
            np.clip(matrix, limit - MOST_CHANGE, limit + MOST_CHANGE).astype(np.float32),
            np.clip(now.shift + step[:, 4:], -MOST_SHIFT, MOST_SHIFT).astype(np.float32),
        )
    return now


@cache
def _grid(side: int, margin: int) -> tuple[Floats, Floats]:
    """Rows and columns of the pixels, from the middle."""
    steps = np.arange(margin, side - margin, dtype=np.float32) - np.float32((side - 1) / 2)
    down, along = np.meshgrid(steps, steps, indexing="ij")
    return down, along


def resample(pictures: Floats, laid: Map, margin: int) -> tuple[Floats, Floats]:
    """N x C x S x S pictures where the pixels of the first lie in them (bilinear), N x C x P x P; and 1 for each that lies inside."""
    count, channels, side = pictures.shape[:3]
    down, along = _grid(side, margin)
    middle = np.float32((side - 1) / 2)
    matrix, shift = laid.matrix[:, :, :, None, None], laid.shift[:, :, None, None]
    where = matrix[:, :, 0] * down + matrix[:, :, 1] * along + shift + middle  # N x 2 x P x P
    where = np.broadcast_to(where, (count, *where.shape[1:]))
    inside = ((where >= -0.5) & (where <= side - 0.5)).all(1).astype(np.float32)
    where = np.clip(where, 0, side - 1)
    corner = np.minimum(where.astype(np.int32), side - 2)
    share = (where - corner).astype(np.float32)[:, :, None]
    index = (corner[:, 0] * side + corner[:, 1]).reshape(count, 1, -1)
    flat = pictures.reshape(count, channels, -1)

    def at(offset: int) -> Floats:
        return np.take_along_axis(flat, index + offset, 2).reshape(count, channels, *down.shape)

    top = at(0) * (1 - share[:, 1]) + at(1) * share[:, 1]
    bottom = at(side) * (1 - share[:, 1]) + at(side + 1) * share[:, 1]
    return top * (1 - share[:, 0]) + bottom * share[:, 0], inside
