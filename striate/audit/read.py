"""The images of a source as the audit needs them: a small picture, the hash of all pixels, the size, the brightness.

Each image is decoded once, at its own size, and let go. An image that cannot be read is a finding, not an error.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from striate.core.errors import DataError
from striate.data.canonical_order import PARTS, HashedPart, argsort_by_hash, dataset_digest
from striate.data.contents import ArrayPart, Contents, EncodedImage, EncodedPart, SourcePart, check_contents
from striate.data.dataset import DataConfig, Images
from striate.data.decode import Decoded, Decoder
from striate.data.picture import FULL_BITS, Picture, convert, decode, depth_of
from striate.data.sources import cifar10

SIDE = 32  # of the small pictures
EXIF_FOLDER, TAKEN, CHANGED = 0x8769, 0x9003, 0x0132  # EXIF's tags
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Look(NamedTuple):
    """What is kept of one image; `broken` says why it could not be read."""

    name: str
    broken: str = ""
    small: Images | None = None
    digest: bytes = b""
    trained: bytes = b""  # the digest as runs have the image: of their channels and size
    size: tuple[int, int] = (0, 0)  # width, height
    spread: float = 0  # standard deviation of its gray levels
    brightest: float = 0  # 99 of 100 pixels are darker
    largest: int | None = None  # value of 16 bits a channel
    taken: str = ""  # when, as EXIF writes it


@dataclass(frozen=True)
class Broken:
    """An image that could not be read."""

    part: str
    name: str
    reason: str


@dataclass(frozen=True)
class ImageTable:
    """All images that could be read, part by part in the order of the source, a row each."""

    classes: tuple[str, ...]
    parts: NDArray[np.int8]  # positions in PARTS
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    hashes: NDArray[np.uint8]  # N x 32
    trained: tuple[bytes, ...]  # the same of the images as runs have them
    sizes: NDArray[np.int64]  # N x 2: width, height
    spread: NDArray[np.float32]
    brightest: NDArray[np.float32]
    small: Images  # N x SIDE x SIDE x C
    positions: NDArray[np.int64]  # of each image in its part, broken ones counted
    taken: tuple[str, ...]  # when, as EXIF writes it; empty where it is not known
    bits: int  # used of the 16 bits of a channel
    broken: tuple[Broken, ...]

    def __len__(self) -> int:
        return len(self.labels)


def read_images(contents: Contents, config: DataConfig | None = None) -> ImageTable:
    """Look at every image of a source; `config`: how runs read them.

    Raises:
        DataError: for labels or classes that do not fit together, and where no image can be read.
    """
    check_contents(contents)
    config = config or DataConfig(source=contents.location)
    looks, bits = _looks(contents, config, FULL_BITS)
    if bits < FULL_BITS:
        looks, _ = _looks(contents, config, bits)
    broken = tuple(
        Broken(part, look.name, look.broken) for part, part_looks in looks.items() for look in part_looks if look.broken
    )
    good = [
        (part, position, look)
        for part, part_looks in looks.items()
        for position, look in enumerate(part_looks)
        if look.small is not None
    ]
    if not good:
        rule = f"{contents.location}: no image could be read; the first is {broken[0].name} ({broken[0].reason})"
        raise DataError(f"{rule}; replace the files")
    return ImageTable(
        classes=_class_names(contents, good),
        parts=np.array([PARTS.index(part) for part, _, _ in good], np.int8),
        names=tuple(look.name for _, _, look in good),
        labels=np.array([contents.parts[part].labels[position] for part, position, _ in good], np.int64),
        hashes=np.frombuffer(b"".join(look.digest for _, _, look in good), np.uint8).reshape(-1, 32),
        trained=tuple(look.trained for _, _, look in good),
        sizes=np.array([look.size for _, _, look in good], np.int64),
        spread=np.array([look.spread for _, _, look in good], np.float32),
        brightest=np.array([look.brightest for _, _, look in good], np.float32),
        small=_stack([look.small for _, _, look in good if look.small is not None]),
        positions=np.array([position for _, position, _ in good], np.int64),
        taken=tuple(look.taken for _, _, look in good),
        bits=bits,
        broken=broken,
    )


def _class_names(contents: Contents, good: list[tuple[str, int, Look]]) -> tuple[str, ...]:
    """Those of the source, or CIFAR-10's: some copies of it have none."""
    if {name: len(part.labels) for name, part in contents.parts.items()} != cifar10.SIZES:
        return contents.classes
    parts = {}
    for name in cifar10.SIZES:
        looks = [(int(contents.parts[name].labels[position]), look) for part, position, look in good if part == name]
        labels = np.array([label for label, _ in looks], np.int64)
        hashes = np.frombuffer(b"".join(look.digest for _, look in looks), np.uint8).reshape(-1, 32)
        order = argsort_by_hash(labels, hashes)
        shape = (len(order), *cifar10.SHAPE)
        parts[name] = HashedPart(np.broadcast_to(np.uint8(0), shape), labels[order], hashes[order])
    return cifar10.CLASSES if dataset_digest((), parts) == cifar10.DIGEST else contents.classes


def _looks(contents: Contents, config: DataConfig, bits: int) -> tuple[dict[str, list[Look]], int]:
    """A look at each image of each part, and the bits that images of 16 bits a channel use."""
    with Decoder(DataConfig(source=contents.location), bits) as decoder:
        looks = {
            name: list(_look_at(decoder, contents.parts[name], config)) for name in PARTS if name in contents.parts
        }
    largest = [look.largest for part in looks.values() for look in part if look.largest is not None]
    return looks, depth_of(max(largest)) if largest else FULL_BITS


def _look_at(decoder: Decoder, part: SourcePart, config: DataConfig) -> Iterator[Look]:
    if isinstance(part, ArrayPart):
        for row, pixels in enumerate(part.images):
            yield _look(f"image {row}", Picture(pixels, None, False, False), config)
    elif isinstance(part, EncodedPart):
        for chunk in decoder.reduce_files(part.images(), lambda image, decoded: _reduce(image, decoded, config)):
            yield from chunk


def _reduce(image: EncodedImage, decoded: Decoded, config: DataConfig) -> Look:
    if isinstance(decoded.result, Exception):
        return Look(decoded.name, broken=decoded.reason)
    return _look(decoded.name, decoded.result, config)._replace(taken=capture_time(image.data))


def capture_time(data: Path | bytes) -> str:
    """When a photograph was taken, as EXIF writes it; empty where the file does not say."""
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            exif = image.getexif()
            return str(exif.get_ifd(EXIF_FOLDER).get(TAKEN) or exif.get(CHANGED) or "") if exif else ""
    except Exception:  # odd metadata raise anything, and the pixels were read
        return ""


def _look(name: str, picture: Picture, config: DataConfig) -> Look:
    pixels = np.ascontiguousarray(picture.pixels)
    spread, brightest = _brightness(pixels)
    digest = hashlib.sha256(pixels.data).digest()
    return Look(
        name,
        small=shrink(pixels),
        digest=digest,
        trained=_trained(pixels, config) or digest,
        size=(pixels.shape[1], pixels.shape[0]),
        spread=spread,
        brightest=brightest,
        largest=picture.largest,
    )


def _trained(pixels: Images, config: DataConfig) -> bytes:
    """The digest of the image as a run has it; empty if that is the image itself, or one that a run refuses."""
    channels = config.channels or pixels.shape[2]
    if (channels, config.size) == (pixels.shape[2], None):
        return b""
    try:
        return hashlib.sha256(np.ascontiguousarray(convert(pixels, channels, config.size)).data).digest()
    except ValueError:  # too elongated
        return b""


def pictures(contents: Contents, table: ImageTable, rows: Iterable[int], most: int) -> dict[int, Images]:
    """These images of the table, read again, with sides of at most `most` pixels."""
    wanted: dict[str, dict[int, int]] = {}
    for row in rows:
        wanted.setdefault(PARTS[table.parts[row]], {})[int(table.positions[row])] = row
    found = {}
    for name, positions in wanted.items():
        part = contents.parts[name]
        if isinstance(part, ArrayPart):
            found.update({row: _fit(part.images[position], most) for position, row in positions.items()})
            continue
        with Decoder(DataConfig(source=contents.location)):  # which keeps Pillow's warnings
            for position, image in enumerate(part.images()):
                if position in positions:
                    found[positions[position]] = _fit(decode(image.data, 3, None, table.bits).pixels, most)
    return found


def _fit(pixels: Images, most: int) -> Images:
    if max(pixels.shape[:2]) <= most:
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((most, most), Image.Resampling.LANCZOS)
    small = np.asarray(image)
    return small[..., None] if small.ndim == 2 else small


def _brightness(pixels: Images) -> tuple[float, float]:
    """Of the gray levels: their standard deviation, and the level that 99 of 100 pixels do not exceed."""
    gray = pixels[..., 0] if pixels.shape[2] == 1 else (pixels @ LUMA).astype(np.uint8)
    levels, counts = np.arange(256), np.bincount(gray.ravel(), minlength=256)
    mean = (levels * counts).sum() / gray.size
    deviation = float(np.sqrt(((levels - mean) ** 2 * counts).sum() / gray.size))
    return deviation, float(np.searchsorted(counts.cumsum(), 0.99 * gray.size))


def shrink(pixels: Images) -> Images:
    """The image at SIDE x SIDE, its sides squeezed or stretched: nothing of it is cut off."""
    if pixels.shape[:2] == (SIDE, SIDE):
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    small = np.asarray(
        image.resize((SIDE, SIDE), Image.Resampling.BOX if min(image.size) >= SIDE else Image.Resampling.BILINEAR)
    )
    return small[..., None] if small.ndim == 2 else small


def _stack(small: list[Images]) -> Images:
    """One array; gray images among color ones get three channels."""
    channels = max(image.shape[2] for image in small)
    return np.stack([np.repeat(image, channels, 2) if image.shape[2] < channels else image for image in small])
