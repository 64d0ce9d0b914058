"""One encoded image to one uint8 array, H x W x C.

The order is: turn upright as EXIF says, convert to 8 bits and to the asked channels, resize the short side (bilinear,
antialiased), crop the central square. Transparency is dropped. What Pillow takes for a decompression bomb is refused.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from striate.data.dataset import Images

# Listed, so that no file can start another program, as Pillow's PostScript decoder does.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
MODES_16_BIT = ("I", "I;16", "I;16L", "I;16B")


def read(source: Path | bytes, channels: int, size: int | None) -> Images:
    """Decode the image in a file or in bytes. Raises whatever Pillow raises for a broken one."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
        upright = ImageOps.exif_transpose(image)
        return _to_array(_convert(_to_8_bits(upright), channels, size))


def convert(pixels: Images, channels: int, size: int | None) -> Images:
    """Convert an H x W x C array to these channels and this size."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return _to_array(_convert(image, channels, size))


def _to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode in MODES_16_BIT:
        # Pillow clips 16 bits at 255, which would make most of the image white.
        return Image.fromarray(np.clip(np.asarray(image) >> 8, 0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("pixels are floating point; save it with 8 bits a channel")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA")  # a palette with transparency loses colors if converted to RGB directly
    return image


def _convert(image: Image.Image, channels: int, size: int | None) -> Image.Image:
    image = image.convert("L" if channels == 1 else "RGB")
    return image if size is None else _central_square(image, size)


def _central_square(image: Image.Image, size: int) -> Image.Image:
    short = min(image.size)
    width, height = (size if side == short else int(size * side / short) for side in image.size)
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"{image.width} x {image.height} is too elongated for a square of {size}")
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def _to_array(image: Image.Image) -> Images:
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
