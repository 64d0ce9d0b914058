"""Shares of an image and of its partner: mixup (Zhang et al., arXiv 1710.09412), CutMix (Yun et al., arXiv 1905.04899).

With both on, each image is mixed in one of the two ways, drawn with even odds.
"""

from collections.abc import Callable

import numpy as np

from striate.data.augment import boxes

Shape = tuple[int, int, int]


def draw(
    stream: Callable[[str], np.random.Generator], count: int, shape: Shape, mixup: float, cutmix: float
) -> dict[str, np.ndarray]:
    """`mixup_lambda`, `pasted` and `label_lambda`; a kind with alpha 0 is off."""
    mixup_lambda, pasted = np.ones(count), np.zeros((count, 4), np.int64)
    fading = np.full(count, bool(mixup))
    if mixup and cutmix:
        fading = stream("mixup or cutmix").random(count) < 0.5
    if mixup:
        mixup_lambda = np.where(fading, stream("mixup").beta(mixup, mixup, count), 1.0)
    if cutmix:
        # Beta draws again when it rejects, so the middles have a stream of their own.
        kept = stream("cutmix").beta(cutmix, cutmix, count)
        middles = (stream("cutmix box").random((count, 2)) * shape[:2]).astype(np.int64)
        sides = np.rint(np.sqrt(1 - kept)[:, None] * shape[:2]).astype(np.int64)
        pasted = np.where(fading[:, None], 0, boxes.around(middles, sides, shape))
    top, bottom, left, right = pasted.T
    outside = 1 - (bottom - top) * (right - left) / (shape[0] * shape[1])
    return {
        "mixup_lambda": mixup_lambda.astype(np.float32),
        "pasted": pasted,
        "label_lambda": (mixup_lambda * outside).astype(np.float32),
    }
