"""Pairs of images that show the same picture, in stages: many candidates are looked at briefly, few closely.

1. `candidates`: the nearest neighbors by a small picture of the colors, straight and mirrored.
2. `spectra`: the candidates whose details agree over small shifts.
3. `register`: these are laid on each other, by shift, scale, brightness and contrast. The score is the mean of two correlations
   over what both show: of the colors, and of the details in gray.

Where there are features of a trained network, they choose among the other candidates those that are worth the slow comparison of
`turned`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from striate.audit import turned
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
MIN_TURNED, TURNED_SHARE = 1_000, 0.25  # compared with turns at most: pairs, or pairs an image
CHUNK = 256
PAIRS_AT_ONCE = 16_384


def near_pairs(small: Images, hashes: NDArray[np.uint8], neighbors: int = NEIGHBORS) -> Pairs:
    """The near duplicates that are no copies, the most alike first."""
    found = scored_pairs(small, hashes, neighbors)
    return found.select(found.score >= THRESHOLD)


def scored_pairs(small: Images, hashes: NDArray[np.uint8], neighbors: int = NEIGHBORS) -> Pairs:
    """The pairs that were looked at closely, with their scores, the most alike first; no copies."""
    return looked_at_closely(small, distinct_candidates(small, hashes, neighbors))


def distinct_candidates(small: Images, hashes: NDArray[np.uint8], neighbors: int = NEIGHBORS) -> Pairs:
    """The candidates that are no copies, with the cosine of their colors."""
    if len(small) < 2:
        nothing = np.empty(0, np.int64)
        return Pairs(nothing, nothing, nothing.astype(np.bool_), nothing.astype(np.float32))
    found = candidates(small, neighbors)
    return found.select((hashes[found.first] != hashes[found.second]).any(1))


def looked_at_closely(small: Images, found: Pairs) -> Pairs:
    """Those of the candidates whose details agree, with their scores, the most alike first."""
    if not len(found.first):
        return found
    whole, side = spectra(small), small.shape[1]
    enlarged = spectra(small, lambda levels: zoomed(levels, ENLARGED))
    tried = [(whole, whole), (enlarged, whole), (whole, enlarged)]
    found = found._replace(score=np.max([correlations(*two, found, side) for two in tried], axis=0))
    said = evidence(whole, found)
    most = max(MIN_CLOSE, int(CLOSE_SHARE * len(small)))
    order = np.argsort(-said, kind="stable")[:most]
    found = found.select(order[said[order] >= EVIDENCE])
    return _most_alike_first(found._replace(score=scores(small, found)))


def turned_pairs(small: Images, found: Pairs, near: Pairs, features: Floats) -> Pairs:
    """The pairs that are alike only when one picture is turned or sheared: of the candidates `found`, those not in `near`.

    `features`: what a trained network makes of each image, N x D; not a number for an image that it does not take. They choose
    the pairs, together with the colors. Pixels decide.
    """
    others = found.select(~np.isin(_keys(found, len(small)), _keys(near, len(small))))
    worth = _fisher(others.score) + _fisher(cosines(features, others))
    order = np.argsort(-np.nan_to_num(worth, nan=-np.inf), kind="stable")
    order = order[: max(MIN_TURNED, int(TURNED_SHARE * len(small)))]
    chosen = others.select(order[np.isfinite(worth[order])])
    score, is_mirrored = free_scores(small, chosen)
    chosen = _most_alike_first(chosen._replace(score=score, mirrored=is_mirrored))
    return chosen.select(chosen.score >= THRESHOLD)


def cosines(features: Floats, pairs: Pairs) -> Floats:
    """Of the features of each pair, without their mean; not a number where an image has none."""
    known = np.isfinite(features).all(1)
    centered = features - features[known].mean(0) if known.any() else features
    length = np.linalg.norm(centered, axis=1, keepdims=True)
    centered = np.divide(centered, length, out=np.full_like(centered, np.nan), where=length > 0)
    chunks = range(0, len(pairs.first), PAIRS_AT_ONCE)
    found = [
        np.einsum(
            "nd,nd->n", centered[pairs.first[i : i + PAIRS_AT_ONCE]], centered[pairs.second[i : i + PAIRS_AT_ONCE]]
        )
        for i in chunks
    ]
    return np.concatenate([np.empty(0, np.float32), *found])


def _keys(pairs: Pairs, count: int) -> NDArray[np.int64]:
    return pairs.first * count + pairs.second


def _most_alike_first(pairs: Pairs) -> Pairs:
    return pairs.select(np.lexsort((pairs.second, pairs.first, -pairs.score)))


def scores(small: Images, pairs: Pairs) -> Floats:
    """How alike each pair is after the second picture was laid on the first."""
    found = np.empty(len(pairs.first), np.float32)

    def fill(chunk: slice) -> None:
        first, second = (small[rows[chunk]].astype(np.float32) for rows in (pairs.first, pairs.second))
        flip = pairs.mirrored[chunk]
        second[flip] = second[flip, :, ::-1]
        target, moving = (_smooth(gray(one), SMOOTHING) for one in (first, second))
        laid = register(target, moving, start(target, moving))
        matrices, inside = weights(laid, first.shape[1], 0)
        found[chunk] = _score(first, second, lambda pictures: resample(pictures, matrices), inside)

    in_threads(fill, len(found), CHUNK)
    return found


def free_scores(small: Images, pairs: Pairs) -> tuple[Floats, NDArray[np.bool_]]:
    """The same where the second picture may also be turned, sheared and mirrored; and which are mirrored."""
    found, is_mirrored = np.empty(len(pairs.first), np.float32), np.empty(len(pairs.first), np.bool_)

    def fill(chunk: slice) -> None:
        first, second = (small[rows[chunk]].astype(np.float32) for rows in (pairs.first, pairs.second))
        target, moving = (_smooth(gray(one), SMOOTHING) for one in (first, second))
        laid, flip = turned.free_start(target, moving)
        for pictures in (second, moving):
            pictures[flip] = pictures[flip, :, ::-1]
        laid = turned.register_freely(target, moving, laid)
        inside = turned.resample(first.transpose(0, 3, 1, 2)[:, :1], laid, 0)[1]
        found[chunk] = _score(first, second, lambda pictures: turned.resample(pictures, laid, 0)[0], inside)
        is_mirrored[chunk] = flip

    in_threads(fill, len(found), CHUNK)
    return found, is_mirrored


def _smooth(levels: Floats, deviation: float) -> Floats:
    from scipy.ndimage import gaussian_filter

    smooth: Floats = gaussian_filter(levels, (0, deviation, deviation))
    return smooth


def _score(first: Floats, second: Floats, lay: Callable[[Floats], Floats], inside: Floats) -> Floats:
    """`lay` brings N x C x S x S pictures where they fit `first`; `inside` is 1 for the pixels that it knows."""
    target, moving = (_smooth(gray(one), SMOOTHING) - _smooth(gray(one), DETAIL) for one in (first, second))
    fine = correlation(target, lay(moving[:, None])[:, 0], inside)
    # One picture in gray: the colors of the other are not held against it.
    colorless = (_colorless(first) | _colorless(second))[:, None, None, None]
    first, second = (np.where(colorless, gray(one)[..., None], one) for one in (first, second))
    moved = lay(second.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    coarse = correlation(first, moved, inside[..., None])
    return np.tanh((_fisher(coarse) + _fisher(fine)) / 2)


def _colorless(pictures: Floats) -> NDArray[np.bool_]:
    return (pictures.max(3) - pictures.min(3)).mean((1, 2)) < COLORLESS


def _fisher(correlation: Floats) -> Floats:
    """Fisher's z: a mean of these is fairer to high correlations than a mean of correlations."""
    return np.arctanh(np.clip(correlation, -0.999, 0.999))
