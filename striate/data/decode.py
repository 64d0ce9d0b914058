"""Rows of a source to chunks of uint8 images and their labels.

A decoder remembers across the parts what all images must share (their size) and which were broken. Order is that of
the source, whatever the number of threads.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from PIL import Image

from striate.core.errors import DataError
from striate.data import picture
from striate.data.config import DataConfig
from striate.data.dataset import Images, Labels
from striate.data.sources.contents import Decoded, Encoded, Item, Rows

CHUNK = 256  # images in flight; a chunk of 224 x 224 RGB is 39 MB
# Bytes of an image below which threads spend more time waiting for each other than decoding: CIFAR-10's PNG files of
# 2 KB took 2.1 times as long with two threads as with one, photographs of 25 KB took 0.7 times as long.
SMALL = 10_000
T = TypeVar("T")
Outcome = tuple[str, Images | Exception]


class Decoder:
    """Turns the parts of one source into images of one shape; used in a `with`, which ends its threads."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.broken: list[str] = []
        self._first: tuple[str, Images] | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        # Not inside the generators below: one that stops at an error would keep its filters as long as the traceback.
        self._resources.enter_context(_pillow_warnings())
        self._pool = self._resources.enter_context(ThreadPoolExecutor(min(8, os.cpu_count() or 1)))
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    def chunks(self, rows: Rows) -> Iterator[tuple[Images, Labels]]:
        """Images with their labels; a broken image is left out of both, or is an error, as the config says."""
        if isinstance(rows, Decoded) and self._as_is(rows.images):
            if len(rows.images):
                self._same_size("an array", rows.images[0])
            return ((rows.images[i : i + CHUNK], rows.labels[i : i + CHUNK]) for i in range(0, len(rows.labels), CHUNK))
        return self._converted(rows)

    def _as_is(self, images: Images) -> bool:
        return self.config.size is None and self.config.channels in (None, images.shape[3])

    def _converted(self, rows: Rows) -> Iterator[tuple[Images, Labels]]:
        done = 0
        for outcomes in self._outcomes(rows):
            good = [self._accept(name, result) for name, result in outcomes]
            kept = np.array([image is not None for image in good])
            labels = rows.labels[done : done + len(good)][kept]
            done += len(good)
            if kept.any():
                yield np.stack([image for image in good if image is not None]), labels

    def _outcomes(self, rows: Rows) -> Iterator[list[Outcome]]:
        if isinstance(rows, Encoded):
            for chunk in _chunked(rows.items()):
                run = map if _bytes(chunk[0][1]) < SMALL else self._pool.map
                yield list(run(self._read, chunk))
        else:
            run = map if rows.images[0].nbytes < SMALL else self._pool.map
            for numbered in _chunked(enumerate(rows.images)):
                yield list(run(self._convert, numbered))

    def _read(self, item: Item) -> Outcome:
        name, source = item
        return name, _caught(lambda: picture.read(source, self.config.channels or 3, self.config.size))

    def _convert(self, numbered: tuple[int, Images]) -> Outcome:
        index, pixels = numbered
        channels = self.config.channels or pixels.shape[2]
        return f"image {index}", _caught(lambda: picture.convert(pixels, channels, self.config.size))

    def _accept(self, name: str, result: Images | Exception) -> Images | None:
        if isinstance(result, Exception):
            if self.config.broken == "error":
                rule = f"{name}: cannot be read as an image ({_reason(result)})"
                raise DataError(f"{rule}; replace or delete it, or set data.broken: skip") from result
            self.broken.append(name)
            return None
        self._same_size(name, result)
        return result

    def _same_size(self, name: str, image: Images) -> None:
        if self._first is None:
            self._first = name, image
        first, other = self._first
        if image.shape != other.shape:
            rule = f"{name} is {_size(image)} and {first} is {_size(other)}: images must have one size"
            raise DataError(f"{rule}; set data.size, e.g. size: 64, to resize and crop them")


def _caught(read: Callable[[], Images]) -> Images | Exception:
    try:
        return read()
    except MemoryError:
        raise
    # Decoders of foreign bytes raise anything: OSError, SyntaxError, struct.error, zlib.error, EOFError, ...
    except Exception as error:
        return error


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """A suspected decompression bomb is a broken file; odd metadata is not."""
    # Around the pool and not inside its threads: the filters belong to the whole process.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\..*")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _chunked(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _bytes(source: Path | bytes) -> int:
    try:
        return len(source) if isinstance(source, bytes) else source.stat().st_size
    except OSError:
        return 0  # a file that went away is a broken file, as whoever reads it next will say


def _size(image: Images) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _reason(error: Exception) -> str:
    # Pillow quotes the path or the buffer's address; the name is said already.
    text = str(error).splitlines()[0] if str(error) else ""
    return "not an image, or a damaged one" if not text or "identify image file" in text else text
