"""How alike two pictures are over small shifts: the correlation of their whitened spectra.

Whitening gives detail the weight of coarse structure, which many pictures share. A correlation says more for a picture with
many lines in its spectrum than for a smooth one: `evidence` counts them.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from striate.audit.blocks import in_threads
from striate.audit.candidates import Floats, Pairs
from striate.data.dataset import Images

TAPER = 0.25  # of the side, at each edge
LOWEST, HIGHEST = 0.04, 0.36  # cycles a pixel: coarser structure is shared by many pictures, finer is noise
SHIFTS = 4  # pixels, each way
CHUNK = 2048
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Spectra = NDArray[np.complex64]
"""N x (2 K + 1) x (K + 1) lines: the frequencies -K to K in y and 0 to K in x."""


def gray(pictures: Images | Floats) -> Floats:
    """The gray levels of N x S x S x C pictures."""
    return pictures @ LUMA if pictures.shape[3] == 3 else pictures[..., 0].astype(np.float32)


def spectra(small: Images, change: Callable[[Floats], Floats] = lambda levels: levels) -> Spectra:
    """The whitened spectrum of each picture, whose gray levels may be changed before."""
    most = _most(small.shape[1])
    spectrum = np.empty((len(small), 2 * most + 1, most + 1), np.complex64)

    def fill(chunk: slice) -> None:
        spectrum[chunk] = whitened(change(gray(small[chunk])))

    in_threads(fill, len(small), CHUNK)
    return spectrum


def whitened(levels: Floats) -> Spectra:
    """The whitened spectrum of each gray picture, of length 1; zero for a picture without structure."""
    from scipy import fft

    side, most = levels.shape[1], _most(levels.shape[1])
    centered = (levels - levels.mean((1, 2), keepdims=True)) * _window(side)
    spectrum = fft.rfft2(centered)[:, np.r_[side - most : side, 0 : most + 1], : most + 1] * _whitening(side)
    energy = (np.abs(spectrum) ** 2 * _twice(most)).sum((1, 2), keepdims=True)
    return np.divide(spectrum, np.sqrt(energy), out=np.zeros_like(spectrum), where=energy > 1)


def _most(side: int) -> int:
    """The highest frequency, in cycles a picture."""
    return int(HIGHEST * side)


@cache
def _window(side: int) -> Floats:
    """1 in the middle, falling to 0 at the edges."""
    edge = max(1, round(TAPER * side))
    ramp = np.sin(np.pi / 2 * (np.arange(edge) + 0.5) / edge) ** 2
    row = np.concatenate([ramp, np.ones(side - 2 * edge), ramp[::-1]])
    return np.outer(row, row).astype(np.float32)


@cache
def _whitening(side: int) -> Floats:
    """Amplitudes of photographs fall as 1 over the frequency."""
    most = _most(side)
    frequency = np.hypot(np.arange(-most, most + 1)[:, None], np.arange(most + 1)[None]) / side
    return (frequency * ((frequency >= LOWEST) & (frequency <= HIGHEST))).astype(np.float32)


def _twice(most: int) -> Floats:
    """How often each column of a half spectrum counts."""
    columns = np.full(most + 1, 2, np.float32)
    columns[0] = 1
    return columns


def mirrored(spectrum: Spectra, side: int) -> Spectra:
    """The spectra of the mirror images, from those of the images."""
    turned = np.conj(spectrum[:, ::-1])
    # Mirroring moves column x to side - 1 - x, and conjugation to -x: one pixel less.
    return turned * np.exp(-2j * np.pi * np.arange(spectrum.shape[2]) * (side - 1) / side).astype(np.complex64)


@cache
def _waves(side: int, most_shift: int) -> tuple[Floats, NDArray[np.int64]]:
    """The matrix from real and imaginary parts of the lines to the values at the small shifts, and these (y, x)."""
    most, steps = _most(side), np.arange(-most_shift, most_shift + 1)
    shifts = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    down, along = np.arange(-most, most + 1)[:, None, None], np.arange(most + 1)[None, :, None]
    angle = 2 * np.pi * (down * shifts[:, 0] + along * shifts[:, 1]) / side
    parts = np.stack([np.cos(angle), -np.sin(angle)], 2) * _twice(most)[None, :, None, None]
    return parts.reshape(-1, len(shifts)).astype(np.float32), shifts


def best_shifts(
    first: Spectra, second: Spectra, side: int, most_shift: int = SHIFTS
) -> tuple[Floats, NDArray[np.int64]]:
    """The largest correlation of each pair over small shifts, and by how much the second is moved (y, x)."""
    waves, shifts = _waves(side, most_shift)
    product = (first * np.conj(second)).reshape(len(first), -1)
    values = product.view(np.float32) @ waves
    best = values.argmax(1)
    return values[np.arange(len(best)), best], shifts[best]


def correlations(first: Spectra, second: Spectra, pairs: Pairs, side: int) -> Floats:
    """The largest correlation of each pair over small shifts; the spectra are those of its first and second pictures."""
    found = np.empty(len(pairs.first), np.float32)

    def fill(chunk: slice) -> None:
        moved, turned = second[pairs.second[chunk]], pairs.mirrored[chunk]
        moved[turned] = mirrored(moved[turned], side)
        found[chunk] = best_shifts(first[pairs.first[chunk]], moved, side)[0]

    in_threads(fill, len(found), CHUNK)
    return found


def evidence(spectrum: Spectra, pairs: Pairs) -> Floats:
    """How much the correlations that are the pairs' scores say.

    The logarithm of the likelihood ratio of correlated against independent lines, as many as the poorer spectrum effectively has.
    """
    power = np.abs(spectrum.reshape(len(spectrum), -1)) ** 2
    lines = power.sum(1) ** 2 / np.maximum((power**2).sum(1), 1e-20)
    share = np.clip(pairs.score, 0, 0.9999) ** 2
    return -np.minimum(lines[pairs.first], lines[pairs.second]) / 2 * np.log1p(-share)
