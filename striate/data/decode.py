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
from PIL import Image

from striate.core.errors import DataError
from striate.core.processes import cpu_count
from striate.data import picture
from striate.data.contents import ArrayPart, EncodedImage, EncodedPart, SourcePart
from striate.data.dataset import DataConfig, Images, Labels

CHUNK = 256  # images in memory at once; a chunk of 224 x 224 RGB is 39 MB
MAX_THREADS = 8
# Bytes of an image below which threads wait for each other longer than they decode: CIFAR-10's PNG files of 2 KB took
# 2.1 times as long with two threads as with one, photographs of 25 KB took 0.7 times as long.
SMALL_BYTES = 10_000
T = TypeVar("T")


class Decoded(NamedTuple):
    """An image, or why it could not be read."""

    name: str
    result: Images | Exception


class Decoder:
    """Decodes the parts of one source to images of one shape; a context manager that ends its threads."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.broken: list[str] = []  # names of the images that were skipped
        self._first: tuple[str, Images] | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        # Not inside the generators below: one that stops at an error would keep its filters as long as the traceback.
        self._resources.enter_context(_pillow_warnings())
        self._pool = self._resources.enter_context(ThreadPoolExecutor(min(MAX_THREADS, cpu_count())))
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    def chunks(self, part: SourcePart) -> Iterator[tuple[Images, Labels]]:
        """Images with their labels. A broken image is an error, or is skipped with its label if the config says so.

        Raises:
            DataError: for a broken image, and for one of another size than the first.
        """
        if isinstance(part, ArrayPart) and self._is_unchanged(part.images):
            if len(part.images):
                self._check_size("an array", part.images[0])
            return ((part.images[i : i + CHUNK], part.labels[i : i + CHUNK]) for i in range(0, len(part.labels), CHUNK))
        return self._decoded_chunks(part)

    def _is_unchanged(self, images: Images) -> bool:
        return self.config.size is None and self.config.channels in (None, images.shape[3])

    def _decoded_chunks(self, part: SourcePart) -> Iterator[tuple[Images, Labels]]:
        start = 0
        for chunk in self._decode(part):
            images = [self._accept(decoded) for decoded in chunk]
            is_good = np.array([image is not None for image in images])
            labels = part.labels[start : start + len(images)][is_good]
            start += len(images)
            if is_good.any():
                yield np.stack([image for image in images if image is not None]), labels

    def _decode(self, part: SourcePart) -> Iterator[list[Decoded]]:
        if isinstance(part, EncodedPart):
            for encoded in _chunked(part.images()):
                run = map if _byte_count(encoded[0].data) < SMALL_BYTES else self._pool.map
                yield list(run(self._read, encoded))
        else:
            run = map if part.images[0].nbytes < SMALL_BYTES else self._pool.map
            for numbered in _chunked(enumerate(part.images)):
                yield list(run(self._convert, numbered))

    def _read(self, image: EncodedImage) -> Decoded:
        channels = self.config.channels or 3
        return Decoded(image.name, _caught(lambda: picture.read(image.data, channels, self.config.size)))

    def _convert(self, numbered: tuple[int, Images]) -> Decoded:
        index, pixels = numbered
        channels = self.config.channels or pixels.shape[2]
        return Decoded(f"image {index}", _caught(lambda: picture.convert(pixels, channels, self.config.size)))

    def _accept(self, decoded: Decoded) -> Images | None:
        name, result = decoded
        if isinstance(result, Exception):
            if self.config.broken == "error":
                rule = f"{name}: cannot be read as an image ({_reason(result)})"
                raise DataError(f"{rule}; replace or delete it, or set data.broken: skip") from result
            self.broken.append(name)
            return None
        self._check_size(name, result)
        return result

    def _check_size(self, name: str, image: Images) -> None:
        if self._first is None:
            self._first = name, image
        first_name, first = self._first
        if image.shape != first.shape:
            rule = f"{name} is {_size(image)} and {first_name} is {_size(first)}: images must have one size"
            raise DataError(f"{rule}; set data.size, e.g. size: 64, to resize and crop them")


def _caught(read: Callable[[], Images]) -> Images | Exception:
    try:
        return read()
    except MemoryError:
        raise
    # Decoders of broken files raise anything: OSError, SyntaxError, struct.error, zlib.error, EOFError, ...
    except Exception as error:
        return error


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
    # Pillow repeats the path, or the address of the buffer.
    text = str(error).splitlines()[0] if str(error) else ""
    return "not an image, or a damaged one" if not text or "identify image file" in text else text
