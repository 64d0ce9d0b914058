"""Arrays to pictures: grids of tiles with labels, colors for signed and for positive values, hatched padding; PNG at the end.

A picture is RGBA, uint8. Gaps are transparent and labels are of a gray that is read on white and on black, so one file serves light
and dark pages. Small tiles are magnified by repeating pixels, large ones reduced by averaging.
"""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
GAP = 4
LEVELS = 64  # of gray and of each scale of colors: nobody sees more, and files are a third smaller
LABEL_COLOR = (122, 122, 122, 255)
HATCH = ((196, 196, 196, 255), (150, 150, 150, 255))
STRIPE = 5  # pixels, of the hatch
FRAME = (255, 80, 20, 255)
MOST_BYTES = 300_000
FONT_SIZE = 11
# Nine points of viridis (S. van der Walt and N. Smith, CC0), between which colors are interpolated.
VIRIDIS = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140), (40, 174, 128), (94, 201, 98), (173, 220, 48),
    (253, 231, 37),
)  # fmt: skip
# From the most negative over 0 to the most positive value: blue, white, orange; told apart by every eye.
SIGNED = ((5, 48, 97), (67, 147, 195), (247, 247, 247), (240, 140, 50), (127, 39, 4))


def rgba(pixels: np.ndarray) -> Picture:
    """uint8 (H, W, C) of one or three channels as RGBA."""
    colors = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels
    return np.concatenate([colors, np.full((*colors.shape[:2], 1), 255, np.uint8)], 2).astype(np.uint8)


def gray(values: np.ndarray, low: float | None = None, high: float | None = None) -> Picture:
    """(H, W) from black, the lowest value, to white."""
    return rgba(np.rint(255 * _stepped(_share(values, low, high)))[..., None].astype(np.uint8))


def heat(values: np.ndarray, low: float | None = None, high: float | None = None) -> Picture:
    """(H, W) in the colors of viridis, from the lowest value to the highest."""
    return _colored(_share(values, low, high), VIRIDIS)


def signed(values: np.ndarray) -> Picture:
    """(H, W) from blue over white, which is 0, to orange; as far as the largest absolute value, but for the largest of 200."""
    scale = _largest(values)
    return _colored(0.5 + 0.5 * np.clip(values / scale, -1, 1), SIGNED)


def signed_color(values: np.ndarray) -> Picture:
    """(3, H, W) as colors around gray, which is 0; a single channel in the colors of `signed`."""
    if len(values) != 3:
        return signed(values.sum(0))
    shares = 0.5 + 0.5 * np.clip(values / _largest(values), -1, 1)
    return rgba(np.rint(255 * shares).astype(np.uint8).transpose(1, 2, 0))


def over(picture: Picture, values: np.ndarray, strength: float = 0.75) -> Picture:
    """Heat (H, W) laid over a grayed picture of the same size, the more opaque the higher."""
    share = _share(values, 0.0, None)[..., None]
    base = picture[..., :3].mean(2, keepdims=True)
    mixed = base * (1 - strength * share) + _colored(share[..., 0], VIRIDIS)[..., :3] * strength * share
    return rgba(np.rint(np.broadcast_to(mixed, picture[..., :3].shape)).astype(np.uint8))


def hatched(pixels: np.ndarray, inside: np.ndarray, side: int) -> Picture:
    """A picture sized to `side`, with diagonal stripes where nothing is inside."""
    picture = sized(pixels if pixels.shape[2] == 4 else rgba(pixels), side)
    rows, columns = (
        np.arange(after) * before // after for after, before in zip(picture.shape, inside.shape, strict=False)
    )
    down, across = np.indices(picture.shape[:2])
    stripes = np.array(HATCH, np.uint8)[((down + across) // STRIPE) % 2]
    return np.where(inside[np.ix_(rows, columns)][..., None], picture, stripes).astype(np.uint8)


def framed(picture: Picture, box: tuple[tuple[int, int], ...], side: int) -> Picture:
    """A picture sized to `side`, with a thin frame around a box of its rows and columns."""
    copy = sized(picture, side).copy()
    (top, bottom), (left, right) = (
        (start * after // before, max(stop * after // before, start * after // before + 2))
        for (start, stop), after, before in zip(box, copy.shape, picture.shape, strict=False)
    )
    inner = copy[top + 2 : bottom - 2, left + 2 : right - 2].copy()
    copy[top:bottom, left:right] = FRAME
    copy[top + 2 : bottom - 2, left + 2 : right - 2] = inner
    return copy


def sized(picture: Picture, side: int) -> Picture:
    """Magnified by a whole number, or reduced, so that the longer side is about `side`."""
    longest = max(picture.shape[:2])
    if longest <= side:
        factor = max(1, side // longest)
        return picture.repeat(factor, 0).repeat(factor, 1)
    height, width = (max(1, round(side * length / longest)) for length in picture.shape[:2])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))


def grid(tiles: Sequence[Picture], columns: int, labels: Sequence[str] = ()) -> Picture:
    """Tiles row by row, each with a label below it, if there are labels."""
    if not tiles:
        return np.zeros((1, 1, 4), np.uint8)
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    below = text_height() if labels else 0
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * (height + below + GAP) - GAP, min(columns, len(tiles)) * (width + GAP) - GAP, 4), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + below + GAP), index % columns * (width + GAP)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        if index < len(labels):
            _paste(sheet, text(labels[index], width), top + height, left)
    return sheet


def beside(pictures: Sequence[Picture], gap: int = 4 * GAP) -> Picture:
    """Pictures in a row, their tops aligned."""
    height = max(picture.shape[0] for picture in pictures)
    sheet = np.zeros((height, sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1), 4), np.uint8)
    left = 0
    for picture in pictures:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return sheet


def stack(pictures: Sequence[Picture], gap: int = 2 * GAP) -> Picture:
    """Pictures one below the other, their left sides aligned."""
    return beside([picture.transpose(1, 0, 2) for picture in pictures], gap).transpose(1, 0, 2)


def titled(picture: Picture, title: str) -> Picture:
    """A picture with a line above it."""
    line = text(title, max(picture.shape[1], 8 * len(title)))
    return stack([line, picture], gap=2)


def text(words: str, width: int) -> Picture:
    """A line of text, cut where it does not fit."""
    image = Image.new("RGBA", (max(width, 1), text_height()), (0, 0, 0, 0))
    while words and _font().getlength(words) > width:
        words = words[:-1]
    ImageDraw.Draw(image).text((0, 0), words, fill=LABEL_COLOR, font=_font())
    return np.asarray(image)


def text_height() -> int:
    return FONT_SIZE + 4


def png(picture: Picture, most_bytes: int = MOST_BYTES) -> bytes:
    """The file, the same bytes for the same picture; a large one gets a palette of 256 colors, which makes a third of it."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    if bool((picture[..., 3] == 255).all()):
        image = image.convert("RGB")
    content = _encoded(image)
    return content if len(content) <= most_bytes else _encoded(image.quantize(256, Image.Quantize.FASTOCTREE))


def _encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _share(values: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    """From 0, the lowest value, to 1; all 0 where all are equal."""
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros(values.shape)


def _stepped(shares: np.ndarray) -> np.ndarray:
    return np.rint(shares * LEVELS) / LEVELS


def _largest(values: np.ndarray) -> float:
    """The absolute value that only 1 of 200 exceed: a few extreme pixels must not hide the others."""
    return float(np.quantile(np.abs(values), 0.995)) or float(np.abs(values).max()) or 1.0


def _colored(shares: np.ndarray, points: Sequence[tuple[int, int, int]]) -> Picture:
    at = np.linspace(0, 1, len(points))
    colors = np.stack(
        [np.interp(_stepped(shares), at, [point[channel] for point in points]) for channel in range(3)], -1
    )
    return rgba(np.rint(colors).astype(np.uint8))


def _paste(sheet: Picture, picture: Picture, top: int, left: int) -> None:
    height, width = picture.shape[:2]
    part = sheet[top : top + height, left : left + width]
    part[:] = picture[: part.shape[0], : part.shape[1]]


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)
