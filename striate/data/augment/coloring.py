"""Color jitter and pixel levels in NumPy.

Brightness, contrast, saturation and hue are torchvision's, on floats and in this order; each result is clipped to 0
to 255. Every product and sum is in float32 and in a fixed order, so that another engine can give the same bits: after
posterizing, a rounding the other way would be 16 levels.
"""

import numpy as np

# ITU-R BT.601, as in torchvision.
GRAY = (0.2989, 0.587, 0.114)


def adjust_colors(images: np.ndarray, color_jitter: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) of levels 0 to 255 in float32, adjusted by `Draws.color_jitter` (N, 4).

    Saturation and hue have no effect on gray images.
    """
    brightness, contrast, saturation, hue = color_jitter.T[:, :, None, None, None]
    result = np.clip(images.astype(np.float32) * brightness, 0, 255)
    if (contrast != 1).any():
        result = _blend(result, _mean_level(result), contrast)
    if images.shape[3] == 3 and (saturation != 1).any():
        result = _blend(result, _gray(result), saturation)
    return _shift_hue(result, hue[..., 0]) if images.shape[3] == 3 and hue.any() else result


def adjust_levels(images: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Uint8 images (N, H, W, C) after autocontrast, posterize and solarize by `Draws.levels` (N, 3)."""
    autocontrast, bits, solarize_from = levels.T[:, :, None, None, None]
    result = images.astype(np.float32)
    low, high = result.min((1, 2), keepdims=True), result.max((1, 2), keepdims=True)
    stretched = np.rint((result - low) * (np.float32(255) / np.maximum(high - low, 1)))
    result = np.where((autocontrast == 1) & (high > low), stretched, result)
    step = np.exp2(8 - bits)
    result = np.floor(result / step) * step
    return np.where(result >= solarize_from, 255 - result, result).astype(np.uint8)


def _blend(images: np.ndarray, other: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """`other` at factor 0, the image at 1, and beyond the image above 1."""
    return np.clip(images * factor + other * (1 - factor), 0, 255)


def _gray(images: np.ndarray) -> np.ndarray:
    if images.shape[3] == 1:
        return images
    red, green, blue = np.moveaxis(images, 3, 0)
    return (red * np.float32(GRAY[0]) + green * np.float32(GRAY[1]) + blue * np.float32(GRAY[2]))[..., None]


def _mean_level(images: np.ndarray) -> np.ndarray:
    """The mean of the gray image in whole levels: their sum is exact in any order."""
    total = np.rint(_gray(images)).astype(np.int64).sum((1, 2, 3))
    count = images.shape[1] * images.shape[2]
    return (total.astype(np.float32) / np.float32(count))[:, None, None, None]


def _shift_hue(images: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """The hue shifted by a share of its circle; the largest and the smallest channel keep their levels."""
    red, green, blue = np.moveaxis(images, 3, 0)
    high, low = images.max(3), images.min(3)
    chroma = high - low
    divisor = np.where(chroma == 0, np.float32(1), chroma)
    # In sixths of the circle: red at 0, green at 2, blue at 4.
    sixths = np.where(
        high == red,
        (green - blue) / divisor,
        np.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sixths = sixths + hue * 6
    channels = []
    for start in (5, 3, 1):
        k = sixths + start
        k = k - np.floor(k * np.float32(1 / 6)) * 6
        channels.append(high - chroma * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.stack(channels, 3)
