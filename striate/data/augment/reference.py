"""The draws applied with NumPy: plain enough to check by eye, fast enough to train with."""

import numpy as np

from striate.data.augment.coloring import colored, leveled
from striate.data.augment.draws import Draws


def apply(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Images (N, H, W, C) of uint8, augmented: all steps but the mixing."""
    done = _shifted(images, draws) if draws.maps is None else resampled(images, draws.maps)
    if draws.colors is not None:
        done = colored(done, draws.colors)
    if done.dtype != np.uint8:
        done = np.rint(done).astype(np.uint8)
    if draws.levels is not None:
        done = leveled(done, draws.levels)
    return done if draws.boxes is None or draws.fills is None else _painted(done, draws.boxes, draws.fills)


def mix(images: np.ndarray, partners: np.ndarray, draws: Draws) -> np.ndarray:
    """Normalized images (N, H, W, C), each with its share of the partner at the same place; as they are without mixing."""
    if draws.mixup_lambda is None or draws.pasted is None:
        return images
    weights = np.empty(images.shape[:3], np.float32)
    weights[...] = draws.mixup_lambda[:, None, None]
    for weight, (top, bottom, left, right) in zip(weights, draws.pasted, strict=True):
        weight[top:bottom, left:right] = 0
    own = weights[..., None]
    return images * own + partners * (1 - own)


def resampled(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Float32 images whose pixels come from where `maps` say, from four neighbors each; black outside."""
    height, width = images.shape[1:3]
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    down, across, start = (maps[:, :, i, None, None] for i in range(3))
    y, x = np.moveaxis(down * rows + across * columns + start, 1, 0)
    # One black pixel around, two at the far ends, and every place outside falls on black.
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2), (0, 0))).astype(np.float32)
    y, x = np.clip(y, -1, height), np.clip(x, -1, width)
    top, left = np.floor(y), np.floor(x)
    below, right = y - top, x - left
    n = np.arange(len(images))[:, None, None]
    i, j = top.astype(np.int64) + 1, left.astype(np.int64) + 1
    return (
        padded[n, i, j] * ((1 - below) * (1 - right))[..., None]
        + padded[n, i, j + 1] * ((1 - below) * right)[..., None]
        + padded[n, i + 1, j] * (below * (1 - right))[..., None]
        + padded[n, i + 1, j + 1] * (below * right)[..., None]
    )


def _shifted(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Mirrored, then shifted by whole pixels, black coming in at the edges."""
    done = np.zeros_like(images)
    height, width = images.shape[1:3]
    for i, (flip, (down, right)) in enumerate(zip(draws.flips, draws.shifts, strict=True)):
        image = images[i, :, ::-1] if flip else images[i]
        rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        from_rows, from_columns = (
            slice(max(-down, 0), height + min(-down, 0)),
            slice(max(-right, 0), width + min(-right, 0)),
        )
        done[i, rows, columns] = image[from_rows, from_columns]
    return done


def _painted(images: np.ndarray, boxes: np.ndarray, fills: np.ndarray) -> np.ndarray:
    for image, its_boxes, its_fills in zip(images, boxes, fills, strict=True):
        for (top, bottom, left, right), fill in zip(its_boxes, its_fills, strict=True):
            image[top:bottom, left:right] = fill
    return images
