"""Pairs of images that show the same picture: candidates by a matrix product, then a closer look at each candidate.

1. Each picture is described by its 8 x 8 colors without their mean. The nearest neighbors of each image, and of its
   mirror image, are the candidates.
2. A candidate is judged by the correlation of both pictures over small shifts, after whitening: coarse
   structure, which many pictures share, counts no more than detail.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.data.dataset import Images

NEIGHBORS = 10  # of each image, straight and mirrored
BLOCK_BYTES = 64_000_000  # of similarities at once
GROUP = 64  # similarities of which only the largest is looked at first
GRID = 8
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class Pairs(NamedTuple):
    """Candidates: `second`, mirrored where it says so, looks like `first`."""

    first: Rows
    second: Rows
    mirrored: NDArray[np.bool_]
    score: Floats


def descriptors(small: Images, mirror: bool = False) -> Floats:
    """The colors of a GRID x GRID picture without their mean, at length 1; zeros for a picture without any structure."""
    pixels = small[:, :, ::-1] if mirror else small
    count, side, _, channels = pixels.shape
    cell = side // GRID
    grid = np.empty((count, GRID, GRID, channels), np.float32)
    for start in range(0, count, 4096):
        chunk = pixels[start : start + 4096].astype(np.float32)
        grid[start : start + 4096] = chunk.reshape(-1, GRID, cell, GRID, cell, channels).mean((2, 4))
    grid -= grid.mean((1, 2), keepdims=True)
    flat = grid.reshape(count, -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-3)


def nearest(queries: Floats, keys: Floats, count: int, own: Rows | None = None) -> tuple[Rows, Floats]:
    """The `count` most similar keys of each query and their cosines. `own`: the key that is the query itself."""
    padded = -(-len(keys) // GROUP) * GROUP
    count = min(count, len(keys))
    rows, values = np.empty((len(queries), count), np.int64), np.empty((len(queries), count), np.float32)
    step = max(1, BLOCK_BYTES // (4 * padded))
    similar = np.full((step, padded), -2, np.float32)
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        found = similar[: len(block)]
        found[:, : len(keys)] = block @ keys.T
        if own is not None:
            found[np.arange(len(block)), own[start : start + step]] = -2
        rows[start : start + step], values[start : start + step] = _largest(found, count)
    return rows, values


def _largest(similar: Floats, count: int) -> tuple[Rows, Floats]:
    """The `count` largest of each row: they lie in the `count` groups of the largest maxima."""
    groups = similar.reshape(len(similar), -1, GROUP).max(2)
    if groups.shape[1] > count:
        chosen = np.argpartition(groups, -count, 1)[:, -count:]
        columns = (chosen[:, :, None] * GROUP + np.arange(GROUP)).reshape(len(similar), -1)
    else:
        columns = np.broadcast_to(np.arange(similar.shape[1]), similar.shape)
    values = np.take_along_axis(similar, columns, 1)
    best = np.argpartition(values, -count, 1)[:, -count:]
    return np.take_along_axis(columns, best, 1).astype(np.int64), np.take_along_axis(values, best, 1)


def candidates(small: Images, neighbors: int = NEIGHBORS) -> Pairs:
    """Each image with its nearest neighbors, straight and mirrored: every pair once, with the cosine as its score."""
    plain, own = descriptors(small), np.arange(len(small))
    found = []
    for mirrored in (False, True):
        keys = descriptors(small, mirror=True) if mirrored else plain
        rows, values = nearest(plain, keys, neighbors, own)
        first = np.repeat(own, rows.shape[1])
        found.append(Pairs(first, rows.ravel(), np.full(rows.size, mirrored), values.ravel()))
    first, second, is_mirrored, score = (np.concatenate(column) for column in zip(*found, strict=True))
    joined = Pairs(first, second, is_mirrored, score)
    return _once(_select(joined, joined.score > 0))


def _once(pairs: Pairs) -> Pairs:
    """Each pair once, the smaller row first."""
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    key = (low * (high.max(initial=0) + 1) + high) * 2 + pairs.mirrored
    _, kept = np.unique(key, return_index=True)
    return Pairs(low[kept], high[kept], pairs.mirrored[kept], pairs.score[kept])


def _select(pairs: Pairs, chosen: NDArray[np.bool_] | Rows) -> Pairs:
    first, second, mirrored, score = pairs
    return Pairs(first[chosen], second[chosen], mirrored[chosen], score[chosen])


TAPER = 0.25  # of the side, at each edge
LOWEST, HIGHEST = 0.04, 0.36  # cycles a pixel: coarser structure is shared by many pictures, finer is noise
SHIFTS = 4  # pixels, each way
THRESHOLD = 0.6
EVIDENCE = 25.0  # no pair of random smooth pictures has more
CHUNK = 8192


def spectra(small: Images) -> NDArray[np.complex64]:
    """The whitened spectrum of each picture's gray levels, at length 1: N x SIDE x (SIDE / 2 + 1)."""
    from scipy import fft

    count, side, _, channels = small.shape
    window, weight = _window(side), _whitening(side)
    spectrum = np.empty((count, side, side // 2 + 1), np.complex64)
    for start in range(0, count, CHUNK):
        chunk = small[start : start + CHUNK].astype(np.float32)
        gray = chunk @ np.array([0.299, 0.587, 0.114], np.float32) if channels == 3 else chunk[..., 0]
        gray = (gray - gray.mean((1, 2), keepdims=True)) * window
        spectrum[start : start + CHUNK] = fft.rfft2(gray, workers=-1) * weight
    energy = (np.abs(spectrum) ** 2 * _twice(side)).sum((1, 2), keepdims=True)
    return np.divide(spectrum, np.sqrt(energy), out=np.zeros_like(spectrum), where=energy > 1e-6)


def _window(side: int) -> Floats:
    """1 in the middle, falling to 0 at the edges."""
    edge = max(1, round(TAPER * side))
    ramp = np.sin(np.pi / 2 * (np.arange(edge) + 0.5) / edge) ** 2
    row = np.concatenate([ramp, np.ones(side - 2 * edge), ramp[::-1]])
    return np.outer(row, row).astype(np.float32)


def _whitening(side: int) -> Floats:
    """Amplitudes of photographs fall as 1 over the frequency."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    inside = (frequency >= LOWEST) & (frequency <= HIGHEST)
    return (frequency * inside).astype(np.float32)


def _twice(side: int) -> Floats:
    """How often each column of a half spectrum counts."""
    columns = np.full(side // 2 + 1, 2, np.float32)
    columns[0] = columns[-1] = 1
    return columns


def mirrored_spectra(spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The spectra of the mirror images, from those of the images."""
    side = spectrum.shape[1]
    turned = np.conj(spectrum[:, (-np.arange(side)) % side])
    # Mirroring moves column x to side - 1 - x, and conjugation to -x: one pixel less.
    return turned * np.exp(-2j * np.pi * np.arange(side // 2 + 1) * (side - 1) / side).astype(np.complex64)


def correlations(spectrum: NDArray[np.complex64], pairs: Pairs) -> Floats:
    """The largest correlation of each pair over small shifts."""
    from scipy import fft

    side = spectrum.shape[1]
    near_zero = np.r_[0 : SHIFTS + 1, side - SHIFTS : side]
    best = np.empty(len(pairs.first), np.float32)
    for start in range(0, len(best), CHUNK):
        chunk = slice(start, start + CHUNK)
        second = spectrum[pairs.second[chunk]]
        turned = pairs.mirrored[chunk]
        second[turned] = mirrored_spectra(second[turned])
        shifted = fft.irfft2(spectrum[pairs.first[chunk]] * np.conj(second), s=(side, side), workers=-1)
        best[chunk] = shifted[:, near_zero][:, :, near_zero].max((1, 2)) * side * side
    return best


def evidence(spectrum: NDArray[np.complex64], pairs: Pairs) -> Floats:
    """How much each correlation says: less for smooth pictures, whose spectrum has few lines.

    The logarithm of the likelihood ratio of correlated against independent lines, as many as both spectra effectively have.
    """
    power = np.abs(spectrum.reshape(len(spectrum), -1)) ** 2
    lines = power.sum(1) ** 2 / np.maximum((power**2).sum(1), 1e-20)
    share = np.clip(pairs.score, 0, 0.9999) ** 2
    return -np.minimum(lines[pairs.first], lines[pairs.second]) / 2 * np.log1p(-share)


def near_pairs(small: Images, hashes: NDArray[np.uint8]) -> Pairs:
    """The near duplicates that are no copies, the most alike first."""
    found = candidates(small)
    found = _select(found, (hashes[found.first] != hashes[found.second]).any(1))
    whitened = spectra(small)
    found = found._replace(score=correlations(whitened, found))
    found = _select(found, (found.score >= THRESHOLD) & (evidence(whitened, found) >= EVIDENCE))
    found = _select(found, np.lexsort((found.mirrored, found.second, found.first, -found.score)))
    # A pair may be found both straight and mirrored: its best form is kept.
    _, first = np.unique(np.stack([found.first, found.second]), axis=1, return_index=True)
    return _select(found, np.sort(first))
