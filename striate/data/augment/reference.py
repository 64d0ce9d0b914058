"""The draws applied with NumPy: what other engines are tested against, and what the engine from scratch trains with."""

import numpy as np

from striate.data.augment.coloring import adjust_colors, adjust_levels
from striate.data.augment.draws import Draws


def apply(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Augment uint8 images (N, H, W, C): all steps except mixing."""
    result = _flip_and_shift(images, draws) if draws.affine is None else _resample(images, draws.affine)
    if draws.color_jitter is not None:
        result = adjust_colors(result, draws.color_jitter)
    if result.dtype != np.uint8:
        result = np.rint(result).astype(np.uint8)
    if draws.levels is not None:
        result = adjust_levels(result, draws.levels)
    if draws.fill_boxes is not None and draws.fill_colors is not None:
        _fill(result, draws.fill_boxes, draws.fill_colors)
    return result


def mix(images: np.ndarray, partners: np.ndarray, draws: Draws) -> np.ndarray:
    """Mix normalized images (N, H, W, C) with their partners by mixup and CutMix; unchanged if both are off."""
    if draws.mixup_lambda is None or draws.cutmix_boxes is None:
        return images
    weights = np.empty(images.shape[:3], np.float32)
    weights[...] = draws.mixup_lambda[:, None, None]
    for weight, (top, bottom, left, right) in zip(weights, draws.cutmix_boxes, strict=True):
        weight[top:bottom, left:right] = 0
    own = weights[..., None]
    return images * own + partners * (1 - own)


def _flip_and_shift(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Mirrored, then shifted by whole pixels; black comes in at the edges."""
    result = np.zeros_like(images)
    height, width = images.shape[1:3]
    for i, (flip, (down, right)) in enumerate(zip(draws.flips, draws.shifts, strict=True)):
        image = images[i, :, ::-1] if flip else images[i]
        to_rows, from_rows = _overlap(height, down), _overlap(height, -down)
        to_columns, from_columns = _overlap(width, right), _overlap(width, -right)
        result[i, to_rows, to_columns] = image[from_rows, from_columns]
    return result


def _overlap(size: int, shift: int) -> slice:
    """The part of an axis that an image of `size` pixels, shifted by `shift`, still covers."""
    return slice(max(shift, 0), size + min(shift, 0))


def _resample(images: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Float32 images whose pixels come from where `affine` (N x 2 x 3) says: bilinear, black outside."""
    height, width = images.shape[1:3]
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    by_row, by_column, start = (affine[:, :, i, None, None] for i in range(3))
    y, x = np.moveaxis(by_row * rows + by_column * columns + start, 1, 0)
    # Padded with one black pixel before and two after, so that every position outside reads black.
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


def _fill(images: np.ndarray, boxes: np.ndarray, colors: np.ndarray) -> None:
    """Fill the boxes (N x K x 4) with their colors (N x K x C), in place."""
    for image, image_boxes, image_colors in zip(images, boxes, colors, strict=True):
        for (top, bottom, left, right), color in zip(image_boxes, image_colors, strict=True):
            image[top:bottom, left:right] = color
