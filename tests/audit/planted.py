"""Pictures of known origin: random ones without any likeness, and copies of them under known transformations.

The bases are sums of random low-frequency cosines in color. Photographs would resemble each other by themselves.
"""

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

SIDE = 96
WAVES = 12  # in each direction
COLOR = 0.5


def base(rng):
    """One random picture, SIDE x SIDE in color."""
    position = (np.arange(SIDE) + 0.5) / SIDE
    waves = np.cos(np.pi * np.outer(np.arange(WAVES), position))
    size = 1 / np.maximum(np.hypot(*np.mgrid[:WAVES, :WAVES]), 1)
    planes = [waves.T @ (rng.normal(size=(WAVES, WAVES)) * size) @ waves for _ in range(4)]
    # As in photographs, most of the variation is of brightness and less of color.
    picture = np.stack([planes[0] + COLOR * plane for plane in planes[1:]], -1)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return (30 + 200 * picture).astype(np.uint8)


def bases(count, seed=0):
    rng = np.random.default_rng(seed)
    return [base(rng) for _ in range(count)]


def _crop(image, share):
    side = image.width
    edge = side * (1 - share) / 2
    return image.resize(image.size, Image.Resampling.BILINEAR, box=(edge, edge, side - edge, side - edge))


def _shift(image, share):
    side = image.width
    step = share * side
    return image.resize(image.size, Image.Resampling.BILINEAR, box=(step, step / 2, side, side - step / 2))


def _jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _noise(image, deviation):
    pixels = np.asarray(image).astype(float) + np.random.default_rng(1).normal(0, deviation, (*image.size, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _caption(image, share):
    pixels = np.array(image)
    pixels[-round(share * len(pixels)) :] = 255
    return Image.fromarray(pixels)


TRANSFORMATIONS = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "gray": lambda image: image.convert("L").convert("RGB"),
    "JPEG 40": lambda image: _jpeg(image, 40),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(image.width / 32)),
    "noise": lambda image: _noise(image, 15),
    "smaller": lambda image: image.resize((image.width // 2, image.width // 2), Image.Resampling.BILINEAR),
    "cropped to 95 %": lambda image: _crop(image, 0.95),
    "cropped to 90 %": lambda image: _crop(image, 0.90),
    "cropped to 80 %": lambda image: _crop(image, 0.80),
    "cropped to 70 %": lambda image: _crop(image, 0.70),
    "shifted and cropped": lambda image: _shift(image, 0.08),
    "caption": lambda image: _caption(image, 0.12),
    "turned by 3 degrees": lambda image: image.rotate(3, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128)),
    "mirrored, cropped, darker": lambda image: ImageEnhance.Brightness(
        _crop(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.92)
    ).enhance(0.8),
}


def transformed(picture, name):
    return np.asarray(TRANSFORMATIONS[name](Image.fromarray(picture)))
