"""Colors and levels with NumPy.

Brightness, contrast, saturation and hue are what torchvision calls so, on floats and in this order; each result
is kept within 0 and 255. Every product and sum is in float32 and in a fixed order, so that another engine can give
the same bits: a rounding that fell the other way would be 16 levels after posterizing.
"""

import numpy as np

# ITU-R BT.601, as torchvision has it.
GRAY = (0.2989, 0.587, 0.114)


def colored(images: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) times 255 levels in float32, by factors (N, 4). Gray images have no saturation and no hue."""
    brightness, contrast, saturation, hue = colors.T[:, :, None, None, None]
    done = np.clip(images.astype(np.float32) * brightness, 0, 255)
    if (contrast != 1).any():
        done = _blended(done, _mean_level(done), contrast)
    if images.shape[3] == 3 and (saturation != 1).any():
        done = _blended(done, _gray(done), saturation)
    return _turned(done, hue[..., 0]) if images.shape[3] == 3 and hue.any() else done


def leveled(images: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Uint8 images after autocontrast, posterize and solarize, where `levels` (N, 3) ask for them."""
    auto, bits, inverted_from = levels.T[:, :, None, None, None]
    done = images.astype(np.float32)
    low, high = done.min((1, 2), keepdims=True), done.max((1, 2), keepdims=True)
    stretched = np.rint((done - low) * (np.float32(255) / np.maximum(high - low, 1)))
    done = np.where((auto == 1) & (high > low), stretched, done)
    step = np.exp2(8 - bits)
    done = np.floor(done / step) * step
    return np.where(done >= inverted_from, 255 - done, done).astype(np.uint8)


def _blended(images: np.ndarray, other: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """`other` at factor 0, the image at 1, and beyond it above 1."""
    return np.clip(images * factor + other * (1 - factor), 0, 255)


def _gray(images: np.ndarray) -> np.ndarray:
    if images.shape[3] == 1:
        return images
    red, green, blue = np.moveaxis(images, 3, 0)
    return (red * np.float32(GRAY[0]) + green * np.float32(GRAY[1]) + blue * np.float32(GRAY[2]))[..., None]


def _mean_level(images: np.ndarray) -> np.ndarray:
    """The mean of the gray picture in whole levels: their sum is exact, in whatever order it is taken."""
    total = np.rint(_gray(images)).astype(np.int64).sum((1, 2, 3))
    count = images.shape[1] * images.shape[2]
    return (total.astype(np.float32) / np.float32(count))[:, None, None, None]


def _turned(images: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """The hue turned round its circle by a share of it; the largest and the smallest channel keep their levels."""
    red, green, blue = np.moveaxis(images, 3, 0)
    high, low = images.max(3), images.min(3)
    chroma = high - low
    safe = np.where(chroma == 0, np.float32(1), chroma)
    # In sixths of the circle: red at 0, green at 2, blue at 4.
    sixths = np.where(
        high == red,
        (green - blue) / safe,
        np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sixths = sixths + hue * 6
    parts = []
    for start in (5, 3, 1):
        k = sixths + start
        k = k - np.floor(k * np.float32(1 / 6)) * 6
        parts.append(high - chroma * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.stack(parts, 3)
