"""The images of a source, decoded to chunks of uint8 arrays.

A decoder remembers, across the parts of a source, the size that all images must share and the images that were broken.
Chunks come in the order of the source, whatever the number of threads.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from striate.core.errors import DataError
from striate.core.processes import cpu_count
from striate.data import picture
from striate.data.contents import ArrayPart, EncodedImage, EncodedPart, SourcePart
from striate.data.dataset import DataConfig, Images
from striate.data.file_kinds import HEAD_BYTES, format_of, image_format, why_unreadable
from striate.data.picture import FULL_BITS, Picture, depth_of
from striate.data.unread import listed

CHUNK = 256  # images in memory at once; a chunk of 224 x 224 RGB is 39 MB
MAX_THREADS = 8
MAX_NAMES = 5  # broken files named in a note
MOST_NAMED = 50  # broken files named in an error: the user has to find each
# Bytes of an image below which threads wait for each other longer than they decode: CIFAR-10's PNG files of 2 KB took
# 2.1 times as long with two threads as with one, photographs of 25 KB took 0.7 times as long.
SMALL_BYTES = 10_000
T = TypeVar("T")
Rows = NDArray[np.int64]


class Decoded(NamedTuple):
    """An image with what its file says beside the pixels, or why it could not be read."""

    name: str
    result: Picture | Exception
    hint: str = ""  # what the user can do about an image that could not be read

    @property
    def reason(self) -> str:
        """Why the image could not be read; empty if it was."""
        return (self.hint or _reason(self.result)) if isinstance(self.result, Exception) else ""


class Broken(NamedTuple):
    """An image that could not be read, and why."""

    name: str
    reason: str


class Decoder:
    """Decodes the parts of one source to images of one shape; a context manager that ends its threads.

    `bits`: how many bits of a channel are used in images of 16.
    """

    def __init__(self, config: DataConfig, bits: int = FULL_BITS) -> None:
        self.config, self.bits = config, bits
        self.broken: list[Broken] = []
        self.deep_images = 0  # of 16 bits a channel
        self._largest = 0  # value in them
        self._with_more: list[str] = []  # names of files with further pictures
        self._transparent: list[str] = []
        self._first: tuple[str, Images] | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        # Not inside the generators below: one that stops at an error would keep its filters as long as the traceback.
        self._resources.enter_context(_pillow_warnings())
        self._pool = self._resources.enter_context(ThreadPoolExecutor(min(MAX_THREADS, cpu_count())))
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    @property
    def bits_needed(self) -> int:
        """The bits that the images of 16 bits a channel use, all parts together."""
        return depth_of(self._largest) if self.deep_images else FULL_BITS

    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the images were decoded."""
        return (*self._depth_note(), *self._more_note(), *self._transparency_note(), *self._broken_note())

    def check_broken(self) -> None:
        """Check, once all parts are decoded, that no image was broken, unless broken ones are to be skipped.

        Raises:
            DataError: with the names of all of them, as far as a message can hold them.
        """
        if not self.broken or self.config.broken == "skip":
            return
        first, *others = self.broken[:MOST_NAMED]
        rule = f"{first.name}: cannot be read as an image ({first.reason})"
        if others:
            rule += f", nor can {', '.join(f'{name} ({reason})' for name, reason in others)}"
        if more := len(self.broken) - MOST_NAMED:
            rule += f" and {more:,} more" if more > 0 else ""
        it = "it" if len(self.broken) == 1 else "them"
        raise DataError(f"{rule}; replace or delete {it}, or set data.broken: skip")

    def chunks(self, part: SourcePart) -> Iterator[tuple[Images, Rows]]:
        """Images with their rows in the part. A broken image is left out: `check_broken` decides at the end.

        Raises:
            DataError: for an image of another size than the first.
        """
        if isinstance(part, ArrayPart) and self._is_unchanged(part.images):
            if len(part.images):
                self._check_size("an array", part.images[0])
            rows = np.arange(len(part.labels))
            return ((part.images[i : i + CHUNK], rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK))
        return self._decoded_chunks(part)

    def decode_files(self, images: Iterable[EncodedImage]) -> Iterator[list[Decoded]]:
        """Encoded images in their order, decoded by chunks; one that cannot be read is given with its reason."""
        return self.reduce_files(images, lambda _, decoded: decoded)

    def reduce_files(
        self, images: Iterable[EncodedImage], reduce: Callable[[EncodedImage, Decoded], T]
    ) -> Iterator[list[T]]:
        """What `reduce` makes of each encoded image and its decoded form, in their order: the pixels need not be kept."""
        for encoded in _chunked(images):
            run = map if _byte_count(encoded[0].data) < SMALL_BYTES else self._pool.map
            yield list(run(lambda image: reduce(image, self._read(image)), encoded))

    def _is_unchanged(self, images: Images) -> bool:
        return self.config.size is None and self.config.channels in (None, images.shape[3])

    def _decoded_chunks(self, part: SourcePart) -> Iterator[tuple[Images, Rows]]:
        start = 0
        for chunk in self._decode(part):
            images = [self._accept(decoded) for decoded in chunk]
            rows = start + np.flatnonzero([image is not None for image in images])
            start += len(images)
            if len(rows):
                yield np.stack([image for image in images if image is not None]), rows

    def _decode(self, part: SourcePart) -> Iterator[list[Decoded]]:
        if isinstance(part, EncodedPart):
            yield from self.decode_files(part.images())
        elif len(part.images):
            run = map if part.images[0].nbytes < SMALL_BYTES else self._pool.map
            for numbered in _chunked(enumerate(part.images)):
                yield list(run(self._convert, numbered))

    def _read(self, image: EncodedImage) -> Decoded:
        channels = self.config.channels or 3
        result = _caught(lambda: picture.decode(image.data, channels, self.config.size, self.bits))
        return Decoded(image.name, result, _hint(image.data) if isinstance(result, Exception) else "")

    def _convert(self, numbered: tuple[int, Images]) -> Decoded:
        index, pixels = numbered
        channels = self.config.channels or pixels.shape[2]
        result = _caught(lambda: Picture(picture.convert(pixels, channels, self.config.size), None, False, False))
        return Decoded(f"image {index}", result)

    def _accept(self, decoded: Decoded) -> Images | None:
        name, result, _ = decoded
        if isinstance(result, Exception):
            self.broken.append(Broken(name, decoded.reason))
            return None
        if result.largest is not None:
            self.deep_images += 1
            self._largest = max(self._largest, result.largest)
        if result.has_more:
            self._with_more.append(name)
        if result.is_transparent:
            self._transparent.append(name)
        self._check_size(name, result.pixels)
        return result.pixels

    def _check_size(self, name: str, image: Images) -> None:
        if self._first is None:
            self._first = name, image
        first_name, first = self._first
        if image.shape != first.shape:
            rule = f"{name} is {_size(image)} and {first_name} is {_size(first)}: images must have one size"
            raise DataError(f"{rule}; set data.size, e.g. size: 64, to resize and crop them")

    def _depth_note(self) -> Iterator[str]:
        if self.deep_images:
            images = "1 image has" if self.deep_images == 1 else f"{self.deep_images:,} images have"
            chosen = f"their largest value is {self._largest:,}, so {self.bits} bits are taken as the range"
            divided = f"; values are divided by {2 ** (self.bits - 8)}" if self.bits > 8 else ""
            yield f"{images} 16 bits a channel: {chosen}{divided}"

    def _more_note(self) -> Iterator[str]:
        if self._with_more:
            files = "1 file has" if len(self._with_more) == 1 else f"{len(self._with_more):,} files have"
            yield f"{files} several pictures, of which the first is read: {listed(self._with_more)}"

    def _transparency_note(self) -> Iterator[str]:
        if self._transparent:
            images = "1 image is" if len(self._transparent) == 1 else f"{len(self._transparent):,} images are"
            yield f"{images} transparent in places, where the colors below are read: {listed(self._transparent)}"

    def _broken_note(self) -> Iterator[str]:
        if self.broken:
            names = ", ".join(name for name, _ in self.broken[:MAX_NAMES]) + (", ..." * (len(self.broken) > MAX_NAMES))
            yield f"{len(self.broken)} broken file{'s' if len(self.broken) > 1 else ''} skipped: {names}"


def _caught(read: Callable[[], Picture]) -> Picture | Exception:
    try:
        return read()
    except MemoryError:
        raise
    # Decoders of broken files raise anything: OSError, SyntaxError, struct.error, zlib.error, EOFError, ...
    except Exception as error:
        return error


def _hint(data: Path | bytes) -> str:
    """What an image that cannot be read is, if this installation has no decoder for it."""
    format_name = image_format(data[:HEAD_BYTES]) if isinstance(data, bytes) else format_of(data)
    cure = why_unreadable(format_name)
    return f"it is {format_name}: {cure}" if cure else ""


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """Treat a suspected decompression bomb as a broken file, and ignore odd metadata."""
    # Around the pool and not inside its threads: the filters belong to the whole process.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\..*")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _chunked(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _byte_count(data: Path | bytes) -> int:
    try:
        return len(data) if isinstance(data, bytes) else data.stat().st_size
    except OSError:
        return 0  # a file that is gone is a broken file, as reading it will show


def _size(image: Images) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # Pillow repeats the path, or the address of the buffer.
    text = str(error).splitlines()[0] if str(error) else ""
    return "not an image, or a damaged one" if not text or "identify image file" in text else text
