"""One encoded image to one uint8 array, H x W x C.

The order is: turn upright as EXIF says, convert to 8 bits and to the asked channels, resize the short side (bilinear,
antialiased), crop the central square. Transparency is dropped. What Pillow takes for a decompression bomb is refused.
"""

import contextlib
import io
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from striate.data.dataset import Images
from striate.data.file_kinds import readable_formats

MODES_16_BIT = ("I", "I;16", "I;16L", "I;16B")
FULL_BITS = 16
DEPTHS = (8, 10, 12, 14, FULL_BITS)  # of cameras: what a file of 16 bits a channel may hold
ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow gives the high byte of a color of 16 bits. With the raw mode of the other byte order it gives the low one.
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


class Picture(NamedTuple):
    """A decoded image, and what its file has beside these pixels."""

    pixels: Images
    largest: int | None  # the largest value of a file of 16 bits a channel; None for 8 bits
    has_more: bool  # further pictures in the file, which are not read
    is_transparent: bool  # in places; the colors there are those that the file has under it


def read(source: Path | bytes, channels: int, size: int | None, bits: int = FULL_BITS) -> Images:
    """Decode the image in a file or in bytes. Raises whatever Pillow raises for a broken one."""
    return decode(source, channels, size, bits).pixels


def decode(source: Path | bytes, channels: int, size: int | None, bits: int = FULL_BITS) -> Picture:
    """As `read`, with what `Picture` tells. `bits`: how many of 16 bits a channel are used; their range becomes 0 to 255."""
    with _open(source) as image:
        has_more = _has_more(image)
        deep = _raw_mode_16_bit(image)
        upright = _upright(image)
        largest = None
        if image.mode in MODES_16_BIT:
            values = _values_16_bit(upright)
            largest, upright = int(values.max(initial=0)), Image.fromarray(_to_8_bits(values, bits))
        elif deep:
            largest = 256 * int(np.asarray(upright.convert("RGB")).max()) + 255
            if bits < FULL_BITS:
                values = _color_16_bit(source, upright, deep)
                largest, upright = int(values.max()), Image.fromarray(_to_8_bits(values, bits))
        plain = _plain(upright)
        return Picture(_to_array(_convert(plain, channels, size)), largest, has_more, _is_transparent(plain))


def depth_of(largest: int) -> int:
    """The bits a channel that values up to `largest` need, of those that cameras have."""
    return next(bits for bits in DEPTHS if largest < 2**bits)


def convert(pixels: Images, channels: int, size: int | None) -> Images:
    """Convert an H x W x C array to these channels and this size."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return _to_array(_convert(image, channels, size))


def _open(source: Path | bytes) -> Image.Image:
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=readable_formats())


def _has_more(image: Image.Image) -> bool:
    """Whether a file has more than one picture. The previews that cameras add to a JPEG do not count."""
    if image.format in ("JPEG", "MPO"):
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except (EOFError, OSError, SyntaxError, ValueError):
        return True  # there is a second picture, and it is damaged


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as EXIF says. Only the orientation is read: other entries may be such as cannot be written back."""
    image.load()
    orientation = 1
    with contextlib.suppress(SyntaxError, ValueError, TypeError, KeyError, OSError, EOFError, ArithmeticError):
        orientation = image.getexif().get(ORIENTATION, 1)
    turn = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image.copy() if turn is None else image.transpose(turn)


def _values_16_bit(image: Image.Image) -> np.ndarray:
    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() >= 2**FULL_BITS):
        raise ValueError(f"pixels are {values.min()} to {values.max()}; save it with 8 bits a channel")
    return values


def _to_8_bits(values: np.ndarray, bits: int) -> Images:
    # Pillow clips 16 bits at 255, which would make most of the image white.
    return np.minimum(values >> (bits - 8), 255).astype(np.uint8)


def _raw_mode_16_bit(image: Image.Image) -> str:
    """Pillow's name of how a color image of 16 bits a channel is stored; empty for any other image."""
    tiles = getattr(image, "tile", None)
    if image.mode in MODES_16_BIT or not tiles:
        return ""
    arguments = tiles[0][3]
    mode = arguments if isinstance(arguments, str) else next(iter(arguments or ()), "")
    return mode if isinstance(mode, str) and ";16" in mode else ""


def _color_16_bit(source: Path | bytes, high: Image.Image, raw_mode: str) -> np.ndarray:
    """All 16 bits of a color image, whose high bytes are given."""
    kind, _, order = raw_mode.partition(";16")
    if kind not in ("RGB", "RGBX", "RGBA") or order not in _OTHER_BYTE:
        raise ValueError("16 bits a channel of which few are used; save it with 8 bits a channel")
    with _open(source) as image:
        other = f"{kind};16{_OTHER_BYTE[order]}"
        image.tile = [_with_raw_mode(tile, other) for tile in image.tile]  # type: ignore[attr-defined]
        low = _upright(image)
    high_bytes, low_bytes = (np.asarray(half.convert("RGB")).astype(np.int64) for half in (high, low))
    return 256 * high_bytes + low_bytes


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    """A tile of Pillow's (codec, box, offset, arguments) with another raw mode."""
    arguments = raw_mode if isinstance(tile[3], str) else (raw_mode, *tile[3][1:])
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _is_transparent(image: Image.Image) -> bool:
    if image.mode not in ("RGBA", "LA", "RGBa", "La") and "transparency" not in image.info:
        return False
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return lowest < 255  # type: ignore[operator]


def _plain(image: Image.Image) -> Image.Image:
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
