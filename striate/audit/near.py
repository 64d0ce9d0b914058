"""Pairs of images that show the same picture, in stages: many candidates are looked at briefly, few closely.

1. `candidates`: the nearest neighbors by a small picture of the colors, straight and mirrored.
2. `spectra`: the candidates whose details agree over small shifts.
3. `register`: these are laid on each other, by shift, scale, brightness and contrast. The score is the mean of two correlations
   over what both show: of the colors, and of the details in gray.
"""

import numpy as np
from numpy.typing import NDArray

from striate.audit.blocks import in_threads
from striate.audit.candidates import NEIGHBORS, Floats, Pairs, candidates
from striate.audit.register import correlation, register, resample, start, weights, zoomed
from striate.audit.spectra import correlations, evidence, gray, spectra
from striate.data.dataset import Images

THRESHOLD = 0.93  # of the score: see benchmarks/2026-11-26-audit.md
EVIDENCE = 7.0  # of the details, for a candidate to be looked at closely
ENLARGED = -0.18  # logarithm of the scale: one of the pictures may be cut out of the other
MIN_CLOSE, CLOSE_SHARE = 2_000, 0.5  # looked at closely at most: pairs, or pairs an image
SMOOTHING = 0.7  # pixels: what is finer is taken for noise
DETAIL = 2.5  # pixels: what is coarser is no detail
COLORLESS = 6.0  # levels of 255: a picture whose channels differ by less on average is gray
CHUNK = 256


def near_pairs(small: Images, hashes: NDArray[np.uint8], neighbors: int = NEIGHBORS) -> Pairs:
    """The near duplicates that are no copies, the most alike first."""
    found = scored_pairs(small, hashes, neighbors)
    return found.select(found.score >= THRESHOLD)


def scored_pairs(small: Images, hashes: NDArray[np.uint8], neighbors: int = NEIGHBORS) -> Pairs:
    """The pairs that were looked at closely, with their scores, the most alike first; no copies."""
    if len(small) < 2:
        nothing = np.empty(0, np.int64)
        return Pairs(nothing, nothing, nothing.astype(np.bool_), nothing.astype(np.float32))
    found = candidates(small, neighbors)
    found = found.select((hashes[found.first] != hashes[found.second]).any(1))
    whole, side = spectra(small), small.shape[1]
    enlarged = spectra(small, lambda levels: zoomed(levels, ENLARGED))
    tried = [(whole, whole), (enlarged, whole), (whole, enlarged)]
    found = found._replace(score=np.max([correlations(*two, found, side) for two in tried], axis=0))
    said = evidence(whole, found)
    most = max(MIN_CLOSE, int(CLOSE_SHARE * len(small)))
    order = np.argsort(-said, kind="stable")[:most]
    found = found.select(order[said[order] >= EVIDENCE])
    found = found._replace(score=scores(small, found))
    return found.select(np.lexsort((found.second, found.first, -found.score)))


def scores(small: Images, pairs: Pairs) -> Floats:
    """How alike each pair is after the second picture was laid on the first."""
    found = np.empty(len(pairs.first), np.float32)

    def fill(chunk: slice) -> None:
        first, second = (small[rows[chunk]].astype(np.float32) for rows in (pairs.first, pairs.second))
        turned = pairs.mirrored[chunk]
        second[turned] = second[turned, :, ::-1]
        found[chunk] = _score(first, second)

    in_threads(fill, len(found), CHUNK)
    return found


def _score(first: Floats, second: Floats) -> Floats:
    from scipy.ndimage import gaussian_filter

    def smooth(levels: Floats, deviation: float) -> Floats:
        return gaussian_filter(levels, (0, deviation, deviation))

    levels = gray(first), gray(second)
    target, moving = (smooth(picture, SMOOTHING) for picture in levels)
    laid = register(target, moving, start(target, moving))
    matrices, inside = weights(laid, first.shape[1], 0)
    target, moving = target - smooth(levels[0], DETAIL), moving - smooth(levels[1], DETAIL)
    fine = correlation(target, resample(moving[:, None], matrices)[:, 0], inside)
    # One picture in gray: the colors of the other are not held against it.
    colorless = (_colorless(first) | _colorless(second))[:, None, None, None]
    first, second = (np.where(colorless, gray(one)[..., None], one) for one in (first, second))
    moved = resample(second.transpose(0, 3, 1, 2), matrices).transpose(0, 2, 3, 1)
    coarse = correlation(first, moved, inside[..., None])
    return np.tanh((_fisher(coarse) + _fisher(fine)) / 2)


def _colorless(pictures: Floats) -> NDArray[np.bool_]:
    return (pictures.max(3) - pictures.min(3)).mean((1, 2)) < COLORLESS


def _fisher(correlation: Floats) -> Floats:
    """Fisher's z: a mean of these is fairer to high correlations than a mean of correlations."""
    return np.arctanh(np.clip(correlation, -0.999, 0.999))
