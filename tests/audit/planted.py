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


def turned(image, degrees):
    """Without corners of another color."""
    edge = image.width // 4
    wide = Image.fromarray(np.pad(np.asarray(image), ((edge, edge), (edge, edge), (0, 0)), mode="reflect"))
    whole = wide.rotate(degrees, Image.Resampling.BICUBIC)
    return whole.crop((edge, edge, edge + image.width, edge + image.height))


def _hue(image, step):
    levels = np.array(image.convert("HSV"))
    levels[..., 0] += np.uint8(step)
    return Image.fromarray(levels, "HSV").convert("RGB")


def _patch(image, share):
    pixels, side = np.array(image), image.width
    pixels[side // 8 : side // 8 + round(share * side), side // 2 :][:, : round(share * side)] = 127
    return Image.fromarray(pixels)


def _elastic(image, most):
    """Each pixel is moved by a smooth random step of at most this share of the side."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    rng, side = np.random.default_rng(int(np.asarray(image).sum())), image.width
    steps = [gaussian_filter(rng.normal(size=(side, side)), side / 8) for _ in range(2)]
    where = np.mgrid[:side, :side] + np.stack([most * side * step / np.abs(step).max() for step in steps])
    planes = np.moveaxis(np.asarray(image).astype(float), 2, 0)
    return Image.fromarray(
        np.stack([map_coordinates(one, where, order=1, mode="reflect") for one in planes], -1).astype(np.uint8)
    )


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


HARD = {  # of which the comparison without features misses many or all
    "turned by 10 degrees": lambda image: turned(image, 10),
    "turned by 15 degrees": lambda image: turned(image, 15),
    "turned by 20 degrees": lambda image: turned(image, -20),
    "mirrored, turned by 10": lambda image: turned(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 10),
    "hue turned by a quarter": lambda image: _hue(image, 64),
    "saturation 3": lambda image: ImageEnhance.Color(image).enhance(3),
    "mirrored, moved by a sixth": lambda image: _shift(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.16),
    "cropped to 60 %": lambda image: _crop(image, 0.60),
    "JPEG 15": lambda image: _jpeg(image, 15),
    "blurred more": lambda image: image.filter(ImageFilter.GaussianBlur(image.width / 16)),
    "noise of 30 levels": lambda image: _noise(image, 30),
    "elastic": lambda image: _elastic(image, 0.08),
    "gray patch": lambda image: _patch(image, 0.45),
}


def transformed(picture, name):
    return np.asarray((TRANSFORMATIONS | HARD)[name](Image.fromarray(picture)))
